#include "grapes/kernels/bfloat16.h"

#include "grapes/kernels/onednn.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <map>
#include <tuple>

namespace grapes::kernels {

const at::Tensor& RoundedCopy::of(const at::Tensor& W) {
  if (!copy_.defined() || version_ != W._version()) {
    const at::NoGradGuard no_grad;
    if (!copy_.defined()) copy_ = at::empty(W.sizes(), W.options().dtype(at::kBFloat16).requires_grad(false));
    copy_.copy_(W);
    version_ = W._version();
  }
  return copy_;
}

#ifdef GRAPES_ONEDNN
namespace {

/// A product of one shape, ready to run. beta is part of it; alpha is an argument.
struct ReadyProduct {
  dnnl::matmul::primitive_desc description;
  dnnl::matmul primitive;
};

template <class T>
dnnl::memory::desc row_major(const Matrix<T>& m) {
  constexpr bool factor = std::is_same_v<std::remove_const_t<T>, c10::BFloat16>;
  const dnnl::memory::dims strides = m.transposed ? dnnl::memory::dims{1, m.stride} : dnnl::memory::dims{m.stride, 1};
  return {{m.rows, m.columns}, factor ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32, strides};
}

ReadyProduct make(const dnnl::memory::desc& A, const dnnl::memory::desc& B, const dnnl::memory::desc& C, bool scaled,
                  bool added) {
  dnnl::primitive_attr attributes;
  if (scaled) scale_product(attributes);
  if (added) {
    dnnl::post_ops after;
    after.append_sum(1);
    attributes.set_post_ops(after);
  }
  const auto description = described<dnnl::matmul>(attributes, A, B, C);
  return {description, dnnl::matmul(description)};
}

}  // namespace

const std::string& bfloat16_missing() {
  static const std::string why = dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core_bf16
                                     ? ""
                                     : "this processor has no bfloat16 arithmetic (AVX512_BF16)";
  return why;
}

void gemm(float alpha, const Matrix<const c10::BFloat16>& A, const Matrix<const c10::BFloat16>& B, float beta,
          const Matrix<float>& C) {
  // Cached by shape: a network has few shapes, and preparing a product takes longer than computing it.
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, int>;
  thread_local std::map<Key, ReadyProduct> ready;
  if (C.rows == 0 || C.columns == 0) return;
  const bool scaled = alpha != 1, added = beta != 0;
  const dnnl::memory::desc a = row_major(A), b = row_major(B), c = row_major(C);
  const int form = (A.transposed ? 1 : 0) | (B.transposed ? 2 : 0) | (scaled ? 4 : 0) | (added ? 8 : 0);
  const Key key{C.rows, C.columns, A.columns, A.stride, B.stride, C.stride, form};
  auto found = ready.find(key);
  if (found == ready.end()) found = ready.emplace(key, make(a, b, c, scaled, added)).first;

  std::unordered_map<int, dnnl::memory> arguments{
      {DNNL_ARG_SRC, {a, onednn_engine(), const_cast<c10::BFloat16*>(A.data)}},
      {DNNL_ARG_WEIGHTS, {b, onednn_engine(), const_cast<c10::BFloat16*>(B.data)}},
      {DNNL_ARG_DST, {c, onednn_engine(), C.data}}};
  if (scaled) {
    const dnnl::memory::desc one({1}, dnnl::memory::data_type::f32, dnnl::memory::dims{1});
    arguments.insert({scale_argument, {one, onednn_engine(), &alpha}});
  }
  found->second.primitive.execute(onednn_stream(), arguments);
  onednn_stream().wait();
}
#else
const std::string& bfloat16_missing() {
  static const std::string why = "built without oneDNN";
  return why;
}

void gemm(float, const Matrix<const c10::BFloat16>&, const Matrix<const c10::BFloat16>&, float, const Matrix<float>&) {
  TORCH_CHECK(false, "gemm: bfloat16 ", bfloat16_missing());
}
#endif

}  // namespace grapes::kernels
