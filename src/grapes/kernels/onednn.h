#pragma once

// What the kernels that run on oneDNN have in common; only for .cpp files that are compiled with it.
#ifdef GRAPES_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>

namespace grapes::kernels {

inline dnnl::engine& onednn_engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}
inline dnnl::stream& onednn_stream() {
  thread_local dnnl::stream stream(onednn_engine());
  return stream;
}

}  // namespace grapes::kernels
#endif
