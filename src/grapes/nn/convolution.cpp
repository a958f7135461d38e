#include "grapes/nn/convolution.h"

#include "grapes/core/compat.h"
#include "grapes/core/feedback.h"

#include <ATen/ATen.h>

namespace grapes::nn {

at::Tensor Convolution::rounded_affine(const at::Tensor& h, const credit::ErrorPath& path) const {
  const at::Tensor z = kernels::plain::rounded_convolution(h, kernel(path));
  return bias.defined() ? z + modulated_parameters().second.view({1, -1, 1, 1}) : z;
}

at::Tensor Convolution::affine(const at::Tensor& h) const {
  if (rounded && run_.training) return rounded_affine(h, {});
  const auto [W, b] = modulated_parameters();
  const std::vector<std::int64_t> stride(2, shape_.stride), padding(2, shape_.padding);
  return at::conv2d(h, W, b.defined() ? OptionalTensor(b) : OptionalTensor(), stride, padding);
}

bool Convolution::remembers() const { return run_.training && at::GradMode::is_enabled(); }

at::Tensor Convolution::linear(const at::Tensor& h) const {
  const std::vector<std::int64_t> stride(2, shape_.stride), padding(2, shape_.padding);
  return at::conv2d(h, weight, {}, stride, padding);
}

at::Tensor Convolution::activated(const at::Tensor& z) const {
  const at::Tensor normal = norm ? norm.forward(z, run_.training, remembers()) : z;
  return activation_ != nullptr ? activation_->apply(normal) : normal;
}

at::Tensor Convolution::activation(const at::Tensor& z) const {
  const at::Tensor h = activated(z);
  return shape_.pool > 1 ? at::max_pool2d(h, {shape_.pool, shape_.pool}) : h;
}

kernels::Normalization Convolution::normalization() const {
  kernels::Normalization all;
  all.scale = norm.scale;
  all.shift = norm.shift;
  all.mean = norm.mean;
  all.variance = norm.variance;
  all.training = run_.training;
  all.remember = remembers();
  if (activation_ != nullptr) all.activation = activation_->fused;
  all.pool = shape_.pool;
  all.error = factors.error;
  all.workspace = workspace_;
  return all;
}

kernels::Convolution Convolution::kernel(const credit::ErrorPath& path) const {
  kernels::Convolution kernel;
  kernel.weight = weight;
  kernel.bias = bias;
  kernel.stride = shape_.stride;
  kernel.padding = shape_.padding;
  kernel.rows = factors.rows;
  kernel.columns = factors.columns;
  kernel.path = path;
  kernel.rounded = rounded && run_.training;
  kernel.workspace = workspace_;
  return kernel;
}

at::Tensor Convolution::forward(at::Tensor h, const credit::ErrorPath& path) const {
  using To = credit::ErrorPath::To;
  kernels::Convolution kernel = this->kernel(path);
  kernels::Normalization after = normalization();
  const bool normalizes = norm && kernels::fusable(after);
  if (!normalizes) kernel.error = factors.error;
  if (!norm) {
    kernel.activation = after.activation;
    kernel.pool = shape_.pool;
  }
  if (!run_.plain && !rounding && kernels::fusable(kernel, h)) {
    at::Tensor z = kernels::convolution(std::move(h), std::move(kernel));
    if (normalizes) return kernels::normalization(std::move(z), std::move(after));
    return norm ? activation(kernels::unblocked(z)) : z;
  }
  h = kernels::unblocked(h);
  if (kernel.rounded) return output(rounded_affine(h, path));
  h = rounding.input(h);
  at::Tensor z = affine(path.to == To::weights ? h : h.detach());
  if (path.to == To::matrix) {
    const std::vector<std::int64_t> stride(2, shape_.stride), padding(2, shape_.padding), one(2, 1);
    z = feedback_convolution(z, h, path.matrix, stride, padding, one, 1);
  }
  return output(rounding.error_at(z));
}

}  // namespace grapes::nn
