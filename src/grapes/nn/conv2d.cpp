#include "grapes/nn/conv2d.h"

#include "grapes/core/compat.h"
#include "grapes/core/feedback.h"
#include "grapes/nn/pool.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace grapes::nn {

void Conv2dLayer::prepare(const Pass& pass, std::size_t) {
  training_ = pass.training;
  plain_ = pass.plain;
  together_ = pass.together;
}

at::Tensor Conv2dLayer::product(const at::Tensor& h, const at::Tensor& W, const at::Tensor& b) const {
  return at::conv2d(h, W, b.defined() ? OptionalTensor(b) : OptionalTensor(), shape_.stride, shape_.padding,
                    shape_.dilation, shape_.groups);
}

at::Tensor Conv2dLayer::rounded_affine(const at::Tensor& h, const ErrorPath& path) const {
  const at::Tensor z = kernels::plain::rounded_convolution(h, kernel(path));
  return bias.defined() ? z + modulated_parameters().second.view({1, -1, 1, 1}) : z;
}

at::Tensor Conv2dLayer::affine(const at::Tensor& h) const {
  if (rounded && training_) return rounded_affine(h, {});
  const auto [W, b] = modulated_parameters();
  return product(h, W, b);
}

at::Tensor Conv2dLayer::activated(const at::Tensor& z) const {
  const bool remember = training_ && at::GradMode::is_enabled();
  const at::Tensor normal = norm ? norm.forward(z, training_, remember, together_.get()) : z;
  return activation_ != nullptr ? activation_->apply(normal) : normal;
}

at::Tensor Conv2dLayer::pooled(const at::Tensor& h) const {
  return shape_.pool > 1 ? pool(h, Pooling::largest, shape_.pool, nullptr) : h;
}

at::Tensor Conv2dLayer::activation(const at::Tensor& z) const { return pooled(activated(z)); }

at::Tensor Conv2dLayer::output(const at::Tensor& z) const {
  return scales_value() ? pooled(modulated(activated(z))) : activation(modulated(z));
}

at::Tensor Conv2dLayer::fed_back(const at::Tensor& z, const at::Tensor& h, const at::Tensor& B) const {
  return feedback_convolution(z, h, B, shape_.stride, shape_.padding, shape_.dilation, shape_.groups);
}

kernels::Convolution Conv2dLayer::kernel(const ErrorPath& path) const {
  kernels::Convolution kernel;
  kernel.weight = weight;
  kernel.bias = bias;
  kernel.stride = shape_.stride[0];
  kernel.padding = shape_.padding[0];
  kernel.rows = factors.rows;
  kernel.columns = factors.columns;
  kernel.mask = weight_mask;
  kernel.path = path;
  kernel.rounded = rounded && training_;
  kernel.once = once;
  kernel.workspace = workspace_;
  return kernel;
}

kernels::Normalization Conv2dLayer::normalization() const {
  kernels::Normalization all;
  all.scale = norm.scale;
  all.shift = norm.shift;
  all.mean = norm.mean;
  all.variance = norm.variance;
  all.training = training_;
  all.remember = training_ && at::GradMode::is_enabled();
  if (activation_ != nullptr) all.activation = activation_->fused;
  all.pool = shape_.pool;
  all.error = factors.error;
  all.workspace = workspace_;
  return all;
}

kernels::Convolution Conv2dLayer::whole(const ErrorPath& path) const {
  kernels::Convolution all = kernel(path);
  if (norm) return all;
  all.error = factors.error;
  if (activation_ != nullptr) all.activation = activation_->fused;
  all.pool = shape_.pool;
  return all;
}

bool Conv2dLayer::fuses(const at::Tensor& h) const {
  const auto square = [](const std::vector<std::int64_t>& sides) { return sides[0] == sides[1]; };
  const bool plain_shape = square(shape_.stride) && square(shape_.padding) && weight.size(2) == weight.size(3) &&
                           shape_.dilation == std::vector<std::int64_t>{1, 1} && shape_.groups == 1;
  return !plain_ && !rounding && plain_shape && kernels::fusable(whole({}), h);
}

at::Tensor Conv2dLayer::forward(at::Tensor h, const ErrorPath& path) const {
  if (fuses(h)) {
    kernels::Normalization after = norm ? normalization() : kernels::Normalization();
    if (norm && ((together_ && training_) || !kernels::fusable(after))) {
      kernels::Convolution bare = kernel(path);
      return output(kernels::unblocked(kernels::convolution(std::move(h), std::move(bare))));
    }
    at::Tensor z = kernels::convolution(std::move(h), whole(path));
    return norm ? kernels::normalization(std::move(z), std::move(after)) : z;
  }
  h = kernels::unblocked(h);
  return rounded && training_ ? output(rounded_affine(h, path)) : Layer::forward(std::move(h), path);
}

at::Tensor Conv2dLayer::carried(const at::Tensor& error) const { return product(error, weight, {}); }

at::Tensor Conv2dLayer::chosen(const at::Tensor& error, const at::Tensor& z) const {
  if (shape_.pool == 1) return error;
  const at::NoGradGuard running_statistics_stay;
  return chosen_by(error, activated(z), shape_.pool);
}

std::vector<Named> Conv2dLayer::parameters() const {
  std::vector<Named> all = Layer::parameters();
  if (norm) all.insert(all.end(), {{"scale", norm.scale}, {"shift", norm.shift}});
  return all;
}

std::vector<Named> Conv2dLayer::buffers() const {
  if (!norm) return {};
  return {{"mean", norm.mean}, {"variance", norm.variance}};
}

}  // namespace grapes::nn
