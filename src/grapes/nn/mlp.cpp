#include "grapes/nn/mlp.h"

#include "grapes/base/table.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/dropout.h"
#include "grapes/nn/init.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <numeric>

namespace grapes::nn {
namespace {

at::ScalarType dtype_of(const std::string& precision) {
  if (precision == "float32") return at::kFloat;
  if (precision == "float64") return at::kDouble;
  throw UsageError("precision must be float32 or float64; got '" + precision + "'");
}

}  // namespace

Mlp::Mlp(const Options& options, std::vector<std::int64_t> nodes, std::uint64_t seed)
    : options_(options),
      nodes_(std::move(nodes)),
      activation_(find_row(activations(), "activation", options.activation).apply) {
  const credit::RouteRow& route = find_row(credit::routes(), "route", options.route.name);
  find_row(credit::modulations(), "modulation", options.modulation.name);
  const Initialiser& init = find_row(initialisers(), "initialiser", options.init);
  std::string feedback_name = options.feedback_init;
  if (feedback_name == "auto") feedback_name = init.name == "he_uniform" ? "he_uniform" : "nokland";
  const Initialiser& feedback_init = find_row(initialisers(), "initialiser", feedback_name);
  if (!(options.dropout >= 0 && options.dropout < 1))
    throw UsageError("dropout must be at least 0 and below 1; got " + shortest(options.dropout));
  const at::ScalarType dtype = dtype_of(options.precision);

  modulation_ = credit::resolve(options.modulation, route);
  route_ = route.make(options.route);
  for (std::size_t l = 1; l < nodes_.size(); ++l) {
    Layer layer;
    Random random(stream_seed(seed, "init", l));
    layer.weight = initialise(init, {nodes_[l], nodes_[l - 1]}, random, dtype).requires_grad_();
    if (options.bias) layer.bias = at::zeros({nodes_[l]}, dtype).requires_grad_();
    const auto [rows, columns] =
        l + 1 < nodes_.size() ? route.feedback(nodes_, l) : std::pair<std::int64_t, std::int64_t>{};
    if (rows > 0) {
      Random feedback_random(stream_seed(seed, "feedback", l));
      // he_uniform counts the nodes B arrives at, as the authors' program does; the others those it comes from.
      layer.feedback = feedback_init.name == "he_uniform"
                           ? initialise(feedback_init, {columns, rows}, feedback_random, dtype).t().contiguous()
                           : initialise(feedback_init, {rows, columns}, feedback_random, dtype);
    }
    layers_.push_back(std::move(layer));
  }
}

std::vector<at::Tensor> Mlp::masks(const Pass& pass, std::int64_t batch) const {
  if (!pass.masks.empty()) return pass.masks;
  std::vector<at::Tensor> masks;
  if (options_.dropout > 0)
    for (std::size_t l = 0; l + 1 < layers_.size(); ++l)
      masks.push_back(dropout_mask(pass.seed, pass.step, l, batch, nodes_[l + 1], options_.dropout,
                                   layers_[l].weight.scalar_type()));
  return masks;
}

void Mlp::refresh_factors(const Pass& pass, const std::vector<at::Tensor>& masks) {
  if (!factors_.empty() && pass.step / modulation_.every == fresh_step_ / modulation_.every) return;
  credit::Weights weights;
  for (std::size_t l = 0; l < layers_.size(); ++l)
    weights.layers.push_back(pass.factor_weights.empty() ? layers_[l].weight : pass.factor_weights[l]);
  for (const at::Tensor& mask : masks) weights.masks.push_back(mask[0]);
  Random random(stream_seed(pass.seed, "modulation", static_cast<std::uint64_t>(pass.step)));
  factors_ = credit::factors(weights, modulation_, random);
  fresh_step_ = pass.step;
}

at::Tensor Mlp::infer(const at::Tensor& inputs) const {
  const at::NoGradGuard no_grad;
  at::Tensor h = inputs;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    h = at::linear(h, layers_[l].weight, layers_[l].bias);
    if (l + 1 < layers_.size()) h = activation_(h);
  }
  return h;
}

at::Tensor Mlp::forward(const at::Tensor& inputs, const Pass& pass) {
  const at::Tensor x = inputs.flatten(1).to(layers_[0].weight.scalar_type());
  if (!pass.training) return infer(x);

  const std::vector<at::Tensor> dropped = masks(pass, x.size(0));
  refresh_factors(pass, dropped);
  std::vector<credit::Factors> factors = factors_;
  if (modulation_.single_factor) credit::share_last_factor(factors, x.size(0));

  std::vector<credit::Block> blocks;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const bool hidden = l + 1 < layers_.size();
    const at::Tensor mask = hidden && !dropped.empty() ? dropped[l] : at::Tensor();
    credit::Block block{
        layers_[l].weight,
        layers_[l].bias,
        layers_[l].feedback,
        hidden ? factors[l] : credit::Factors{},
        [](const at::Tensor& h, const at::Tensor& W, const at::Tensor& b) { return at::linear(h, W, b); },
        [](const at::Tensor& z) { return z; },
        [](const at::Tensor& h) { return h; }};
    if (hidden) block.activation = activation_;
    if (mask.defined()) block.dropout = [mask](const at::Tensor& h) { return h * mask; };
    blocks.push_back(std::move(block));
  }
  return route_->forward(blocks, x);
}

std::vector<Named> Mlp::parameters() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    all.push_back({fmt::format("layers.{}.weight", l), layers_[l].weight});
    if (layers_[l].bias.defined()) all.push_back({fmt::format("layers.{}.bias", l), layers_[l].bias});
  }
  return all;
}

std::vector<Named> Mlp::buffers() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < layers_.size(); ++l)
    if (layers_[l].feedback.defined()) all.push_back({fmt::format("layers.{}.feedback", l), layers_[l].feedback});
  return all;
}

std::string Mlp::describe() const {
  std::string text = fmt::format("{:<12}{:>16}{:>12}  {}\n", "layer", "weight", "parameters", "then");
  std::int64_t total = 0;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const std::int64_t count = layers_[l].weight.numel() + (layers_[l].bias.defined() ? layers_[l].bias.numel() : 0);
    total += count;
    std::string then = l + 1 < layers_.size() ? options_.activation : "output";
    if (l + 1 < layers_.size() && options_.dropout > 0) then += fmt::format(", dropout {}", options_.dropout);
    text += fmt::format("{:<12}{:>16}{:>12}  {}\n", fmt::format("layers.{}", l),
                        fmt::format("{} × {}", nodes_[l + 1], nodes_[l]), count, then);
  }
  return text + fmt::format("{:<12}{:>16}{:>12}\n", "in all", "", total);
}

}  // namespace grapes::nn
