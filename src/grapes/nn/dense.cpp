#include "grapes/nn/dense.h"

#include <ATen/ATen.h>

namespace grapes::nn {

bool Dense::fuses(const at::Tensor& h) const {
  return !run_.plain && fusable() && (!bias.defined() || kernels::fusable(bias)) && h.dim() == 2 &&
         kernels::fusable(h) && h.scalar_type() == weight.scalar_type();
}

kernels::Dense Dense::kernel(const credit::ErrorPath& path) const {
  kernels::Dense kernel;
  kernel.weight = weight;
  kernel.bias = bias;
  kernel.rows = factors.rows;
  kernel.columns = factors.columns;
  kernel.path = path;
  kernel.fused_sgd = run_.fused_sgd;
  kernel.sums = sums;
  kernel.rounded = rounded;
  kernel.workspace = workspace_;
  return kernel;
}

at::Tensor Dense::plain_affine(const at::Tensor& h, const credit::ErrorPath& path) const {
  const auto [W, b] = modulated_parameters();
  if (!rounded) return at::linear(h, W, b);
  const at::Tensor z = kernels::plain::rounded_products(h, kernel(path));
  return b.defined() ? z + b : z;
}

at::Tensor Dense::affine(const at::Tensor& h) const {
  return fuses(h) ? kernels::dense(h, kernel({})) : plain_affine(h, {});
}

at::Tensor Dense::forward(at::Tensor h, const credit::ErrorPath& path) const {
  if (!fuses(h)) return rounded ? output(plain_affine(h, path)) : Block::forward(h, path);
  kernels::Dense whole = kernel(path);
  if (activation_ != nullptr) whole.activation = activation_->fused;
  whole.dropout = run_.dropout;
  whole.error = factors.error;
  return kernels::dense(h, std::move(whole));
}

at::Tensor Dense::activation(const at::Tensor& z) const { return activation_ != nullptr ? activation_->apply(z) : z; }

at::Tensor Dense::dropout(const at::Tensor& h) const { return run_.dropout ? h * mask(h.size(0)) : h; }

at::Tensor Dense::mask(std::int64_t batch) const {
  if (!run_.dropout || run_.dropout.mask.defined()) return run_.dropout.mask;
  return kernels::dropout_mask(run_.dropout.key, batch, weight.size(0), run_.dropout.p, weight.scalar_type())
      .to(weight.device());
}

}  // namespace grapes::nn
