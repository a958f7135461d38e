#include "grapes/nn/layer.h"

#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace grapes::nn {

at::Tensor Layer::forward(at::Tensor h, const ErrorPath& path) const {
  h = rounding.input(h);
  at::Tensor z = affine(path.to == ErrorPath::To::weights ? h : h.detach());
  if (path.to == ErrorPath::To::matrix) z = fed_back(z, h, path.matrix);
  return output(rounding.error_at(z));
}

std::vector<Named> Layer::parameters() const {
  std::vector<Named> all = {{"weight", weight, nullptr, storage, weight_mask}};
  if (bias.defined()) all.push_back({"bias", bias});
  return all;
}

at::Tensor Layer::fed_back(const at::Tensor& z, const at::Tensor& h, const at::Tensor& B) const {
  return feedback(z, h, B);
}

at::Tensor Layer::modulated(const at::Tensor& z) const {
  return factors.error.defined() ? modulate(z, factors.error, 1) : z;
}

at::Tensor Layer::output(const at::Tensor& z) const { return dropout(activation(modulated(z))); }

at::Tensor Layer::carried(const at::Tensor& error) const { return at::linear(error, weight); }

std::pair<at::Tensor, at::Tensor> Layer::modulated_parameters() const {
  at::Tensor W = rounding.weight(weight), b = bias;
  if (weight_mask.defined()) W = W * weight_mask;
  if (factors.rows.defined()) {
    W = modulate(W, factors.rows, 0);
    if (b.defined()) b = modulate(b, factors.rows, 0);
  }
  if (factors.columns.defined()) W = modulate(W, factors.columns, 1);
  return {W, b};
}

Rising Layer::rise(const at::Tensor& h, bool masked) const {
  at::Tensor z, leaf, value;
  {
    const at::AutoGradMode graph(true);
    z = affine(h);
    leaf = z.detach().requires_grad_();
    value = activation(leaf);
    if (masked) value = dropout(value);
  }
  const auto scaled = [this](const at::Tensor& error) {
    const at::Tensor& m = factors.error;
    if (!m.defined()) return error;
    std::vector<std::int64_t> shape(static_cast<std::size_t>(error.dim()), 1);
    shape[1] = m.size(-1);
    return error * (m.dim() == 1 ? m.view(shape) : m);
  };
  Rising rising;
  rising.value = masked ? value.detach() : dropout(value.detach());
  rising.arrive = [this, z, leaf, value, scaled](const at::Tensor& error) {
    torch::autograd::backward({value}, {scales_value() ? scaled(error) : error});
    const at::Tensor delta = scales_value() ? leaf.grad() : scaled(leaf.grad());
    torch::autograd::backward({z}, {delta});
    return chosen(delta, z.detach());
  };
  rising.through = [this, z = z.detach(), arrive = rising.arrive](const at::Tensor& error) {
    return arrive(chosen(carried(error), z));
  };
  return rising;
}

}  // namespace grapes::nn
