#include "grapes/nn/linear.h"

#include "grapes/nn/layer_kind.h"

#include <ATen/ATen.h>

namespace grapes::nn {

void LinearLayer::prepare(const Pass& pass, std::size_t number) {
  training_ = pass.training;
  plain_ = pass.plain;
  learn_ = pass.learn;
  dropout_ = {};
  if (!training_) return;
  if (number < pass.masks.size())
    dropout_.mask = pass.masks[number].contiguous();
  else if (drop_ > 0)
    dropout_ = {drop_, kernels::dropout_key(pass.seed, pass.step, number), {}, pass.first};
}

bool LinearLayer::fusable() const {
  return kernels::fusable(weight) && !rounding && (!rounded || kernels::bfloat16_missing().empty());
}

bool LinearLayer::updates_inside() const { return fusable() && !weight_mask.defined(); }

bool LinearLayer::fuses(const at::Tensor& h) const {
  return training_ && !plain_ && fusable() && (!bias.defined() || kernels::fusable(bias)) && h.dim() >= 2 &&
         kernels::fusable(h) && h.scalar_type() == weight.scalar_type();
}

kernels::Dense LinearLayer::kernel(const ErrorPath& path) const {
  kernels::Dense kernel;
  kernel.weight = weight;
  kernel.bias = bias;
  kernel.rows = factors.rows;
  kernel.columns = factors.columns;
  kernel.mask = weight_mask;
  kernel.path = path;
  kernel.learn = learn_;
  kernel.once = once;
  kernel.rounded = training_ ? rounded : nullptr;
  kernel.workspace = workspace_;
  return kernel;
}

at::Tensor LinearLayer::plain_affine(const at::Tensor& h, const ErrorPath& path) const {
  const auto [W, b] = modulated_parameters();
  if (!rounded || !training_) return at::linear(h, W, b);
  const at::Tensor z = kernels::plain::rounded_products(h, kernel(path));
  return b.defined() ? z + b : z;
}

at::Tensor LinearLayer::affine(const at::Tensor& h) const {
  return fuses(h) ? kernels::dense(h, kernel({})) : plain_affine(h, {});
}

at::Tensor LinearLayer::forward(at::Tensor h, const ErrorPath& path) const {
  if (h.dim() == 1) return forward(h.unsqueeze(0), path).squeeze(0);
  if (h.dim() > 2) {
    std::vector<std::int64_t> sizes = h.sizes().vec();
    sizes.back() = weight.size(0);
    return forward(h.flatten(0, -2), path).view(sizes);
  }
  if (!fuses(h)) return rounded && training_ ? output(plain_affine(h, path)) : Layer::forward(h, path);
  kernels::Dense whole = kernel(path);
  if (activation_ != nullptr) whole.activation = activation_->fused;
  whole.dropout = dropout_;
  whole.error = factors.error;
  return kernels::dense(h, std::move(whole));
}

at::Tensor LinearLayer::activation(const at::Tensor& z) const {
  return activation_ != nullptr ? activation_->apply(z) : z;
}

at::Tensor LinearLayer::dropout(const at::Tensor& h) const { return dropout_ ? h * mask(h.size(0)) : h; }

at::Tensor LinearLayer::mask(std::int64_t batch) const {
  if (!dropout_ || dropout_.mask.defined()) return dropout_.mask;
  return kernels::dropout_mask(dropout_.key, batch, weight.size(0), dropout_.p, weight.scalar_type(), dropout_.first)
      .to(weight.device());
}

std::vector<Named> LinearLayer::parameters() const {
  std::vector<Named> all = Layer::parameters();
  all.front().sums = sums;
  return all;
}

at::Tensor LinearLayer::responsibility(std::int64_t dim, const credit::Rule& rule, const at::Tensor* values) const {
  const bool known = sums != nullptr && rule.reduction == credit::Reduction::sum;
  return dim == 0 && values == nullptr && !plain_ && known ? sums->of(weight) : at::Tensor();
}

std::unique_ptr<Layer> linear_layer(const LayerSetting& setting) {
  auto layer = std::make_unique<LinearLayer>(setting.activation, setting.dropout, setting.workspace);
  layer->weight = setting.weight;
  layer->bias = setting.bias;
  if (setting.bf16) layer->rounded = std::make_shared<kernels::RoundedCopy>();
  if (setting.sums) layer->sums = std::make_shared<kernels::RowSums>();
  return layer;
}

}  // namespace grapes::nn
