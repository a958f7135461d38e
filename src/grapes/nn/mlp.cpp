#include "grapes/nn/mlp.h"

#include "grapes/base/table.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace grapes::nn {

Mlp::Mlp(const Options& options, std::vector<std::int64_t> nodes, std::uint64_t seed)
    : Chain(options), nodes_(std::move(nodes)) {
  const Activation& activation = find_row(activations(), "activation", options.activation);
  if (!(options.dropout >= 0 && options.dropout < 1))
    throw UsageError("dropout must be at least 0 and below 1; got " + shortest(options.dropout));
  const auto workspace = std::make_shared<kernels::Workspace>();
  for (std::size_t l = 1; l < nodes_.size(); ++l) {
    const bool hidden = l + 1 < nodes_.size();
    layers_.push_back(std::make_unique<Dense>(hidden ? &activation : nullptr, workspace));
    Dense& layer = *layers_.back();
    if (precision_.bf16) layer.rounded = std::make_shared<kernels::RoundedCopy>();
    if (hidden && wants_incoming()) layer.sums = std::make_shared<kernels::RowSums>();
    add(layer, seed, {nodes_[l], nodes_[l - 1]});
    if (options.bias) layer.bias = at::zeros({nodes_[l]}, placed_).requires_grad_();
  }
  complete(seed, {nodes_.begin() + 1, nodes_.end()});
}

void Mlp::refresh_factors(const Pass& pass, std::int64_t batch) {
  if (!stale(pass)) return;
  credit::Weights weights;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const bool other = !pass.factor_weights.empty();
    weights.layers.push_back(other ? pass.factor_weights[l] : layers_[l]->weight);
    weights.incoming.push_back(other || pass.plain || !layers_[l]->sums ? at::Tensor()
                                                                        : layers_[l]->sums->of(layers_[l]->weight));
    if (options_.compatibility.first_sample_mask && l + 1 < layers_.size())
      if (const at::Tensor mask = layers_[l]->mask(batch); mask.defined()) weights.masks.push_back(mask[0]);
  }
  refresh(pass, weights);
}

at::Tensor Mlp::infer(const at::Tensor& inputs) const {
  const at::NoGradGuard no_grad;
  at::Tensor h = inputs;
  for (const auto& layer : layers_) {
    const credit::Rounding& rounding = layer->rounding;
    h = layer->activation(at::linear(rounding.input(h), rounding.weight(layer->weight), layer->bias));
  }
  return h;
}

at::Tensor Mlp::forward(const at::Tensor& inputs, const Pass& pass) {
  const at::Tensor x = inputs.flatten(1).to(placed_).contiguous();
  prepare_rounding(pass);
  if (!pass.training) return infer(x);

  for (std::size_t l = 0; l < layers_.size(); ++l) {
    Dense::Run run{{}, pass.fused_sgd, pass.plain};
    if (l + 1 < layers_.size()) {
      if (!pass.masks.empty())
        run.dropout.mask = pass.masks[l].contiguous();
      else if (options_.dropout > 0)
        run.dropout = {options_.dropout, kernels::dropout_key(pass.seed, pass.step, l), {}};
    }
    layers_[l]->prepare(std::move(run));
  }
  refresh_factors(pass, x.size(0));
  std::vector<credit::Factors> factors = factors_;
  if (options_.compatibility.single_factor) credit::share_last_factor(factors, x.size(0));
  for (std::size_t l = 0; l + 1 < layers_.size(); ++l) layers_[l]->factors = std::move(factors[l]);
  return rounded_error(credit::forward(route_, blocks_, x, options_.compatibility.unmasked_first));
}

bool Mlp::fuses_sgd(const Pass& pass) const {
  return !pass.plain && !precision_.has_formats() &&
         std::all_of(layers_.begin(), layers_.end(), [](const auto& layer) { return layer->fusable(); });
}

std::vector<Named> Mlp::parameters() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    all.push_back({fmt::format("layers.{}.weight", l), layers_[l]->weight, layers_[l]->sums, storage_[l]});
    if (layers_[l]->bias.defined()) all.push_back({fmt::format("layers.{}.bias", l), layers_[l]->bias});
  }
  return all;
}

std::string Mlp::describe() const {
  std::string text = fmt::format("{:<12}{:>16}{:>12}  {}\n", "layer", "weight", "parameters", "then");
  std::int64_t total = 0;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const std::int64_t count = layers_[l]->weight.numel() + (layers_[l]->bias.defined() ? layers_[l]->bias.numel() : 0);
    total += count;
    std::string then = l + 1 < layers_.size() ? options_.activation : "output";
    if (l + 1 < layers_.size() && options_.dropout > 0) then += fmt::format(", dropout {}", options_.dropout);
    text += fmt::format("{:<12}{:>16}{:>12}  {}\n", fmt::format("layers.{}", l),
                        fmt::format("{} × {}", nodes_[l + 1], nodes_[l]), count, then);
  }
  return text + fmt::format("{:<12}{:>16}{:>12}\n", "in all", "", total);
}

}  // namespace grapes::nn
