#pragma once

// Shared by the kernels that use oneDNN. Include it only in .cpp files that are compiled with oneDNN.
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
