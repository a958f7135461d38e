#pragma once

// Shared by the kernels that use oneDNN, and what differs between oneDNN 2 (Debian 12) and 3 (Debian 13). Include it
// only in .cpp files that are compiled with oneDNN.
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

#if DNNL_VERSION_MAJOR < 3
/// Describes a primitive. @param arguments  those of the operation, in the order of oneDNN's documentation
template <class Operation, class... Arguments>
typename Operation::primitive_desc described(const dnnl::primitive_attr& attributes, const Arguments&... arguments) {
  return {typename Operation::desc(arguments...), attributes, onednn_engine()};
}
/// Describes a primitive of the backward pass. @param forward  description of the forward primitive
template <class Operation, class Forward, class... Arguments>
typename Operation::primitive_desc described_backward(const Forward& forward, const dnnl::primitive_attr& attributes,
                                                      const Arguments&... arguments) {
  return {typename Operation::desc(arguments...), attributes, onednn_engine(), forward};
}

inline void append_eltwise(dnnl::post_ops& after, dnnl::algorithm algorithm, float alpha, float beta) {
  after.append_eltwise(1, algorithm, alpha, beta);
}

/// Multiplies a product by the number in the argument scale_argument.
inline void scale_product(dnnl::primitive_attr& attributes) { attributes.set_output_scales(0, {DNNL_RUNTIME_F32_VAL}); }
constexpr int scale_argument = DNNL_ARG_ATTR_OUTPUT_SCALES;
#else
template <class Operation, class... Arguments>
typename Operation::primitive_desc described(const dnnl::primitive_attr& attributes, const Arguments&... arguments) {
  return {onednn_engine(), arguments..., attributes};
}
template <class Operation, class Forward, class... Arguments>
typename Operation::primitive_desc described_backward(const Forward& forward, const dnnl::primitive_attr& attributes,
                                                      const Arguments&... arguments) {
  return {onednn_engine(), arguments..., forward, attributes};
}

inline void append_eltwise(dnnl::post_ops& after, dnnl::algorithm algorithm, float alpha, float beta) {
  after.append_eltwise(algorithm, alpha, beta);
}

inline void scale_product(dnnl::primitive_attr& attributes) { attributes.set_scales_mask(DNNL_ARG_SRC, 0); }
constexpr int scale_argument = DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC;
#endif

}  // namespace grapes::kernels
#endif
