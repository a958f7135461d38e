#include "grapes/nn/crossbars.h"

#include "grapes/base/table.h"
#include "grapes/core/compat.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/custom_function.h>

namespace grapes::nn {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// h, W, b -> z. The layer outlives the graph of a step.
struct CrossbarLayer::Product : torch::autograd::Function<CrossbarLayer::Product> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& h, const at::Tensor& /*W*/,
                            const at::Tensor& bias, const CrossbarLayer* layer) {
    context->save_for_backward({h});
    context->saved_data["layer"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(layer));
    context->saved_data["sends"] = h.requires_grad();
    const at::Tensor z = layer->read(h);
    return z + bias;
  }
  static variable_list backward(AutogradContext* context, variable_list errors) {
    const auto* layer =
        reinterpret_cast<const CrossbarLayer*>(static_cast<std::intptr_t>(context->saved_data["layer"].toInt()));
    const at::Tensor error = errors[0].contiguous();
    const at::Tensor sent = context->saved_data["sends"].toBool() ? layer->read_back(error) : at::Tensor();
    at::Tensor h = context->get_saved_variables()[0];
    const at::Tensor own = layer->factors.rows.defined() ? error * layer->factors.rows : error;
    if (layer->factors.columns.defined()) h = h * layer->factors.columns;
    const bool real = layer->array_.options.real_update;
    // Pulses come as the error passes, after it has been sent on through the weights as they were.
    if (real) layer->pulse(h, own);
    const at::Tensor weight = real ? at::Tensor() : own.t().mm(h);
    return {sent, weight, real || !layer->bias.defined() ? at::Tensor() : own.sum(0), {}};
  }
};

void CrossbarLayer::build(const AnalogOptions& options, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  const analog::Device device = device_from(options.device);
  analog::Options array = array_options(options);
  try {
    array.scale = analog::scale_for(device, weight.detach(), options.share);
    array_ = analog::make_crossbar(device, weight.size(0), weight.size(1), array, seed);
  } catch (const c10::Error& error) {
    throw UsageError("analog: " + std::string(error.what_without_backtrace()));
  }
  prepare({});
}

void CrossbarLayer::prepare(Run run) {
  run_ = run;
  const at::NoGradGuard no_grad;
  const at::Tensor held = analog::weights(array_);
  if (at::equal(held, weight.detach())) return;
  analog::program(array_, weight.detach(), run.number);
  weight.copy_(analog::weights(array_));
}

at::Tensor CrossbarLayer::read(const at::Tensor& h) const {
  const at::NoGradGuard no_grad;
  if (run_.drift == 1 || !array_.options.real_forward) return analog::forward(array_, h.detach(), run_.number);
  return analog::forward(analog::later(array_, run_.drift), h.detach(), run_.number);
}

at::Tensor CrossbarLayer::read_back(const at::Tensor& error) const {
  const at::NoGradGuard no_grad;
  return analog::backward(array_, error, run_.number);
}

void CrossbarLayer::pulse(const at::Tensor& h, const at::Tensor& error) const {
  const at::NoGradGuard no_grad;
  if (run_.fused_sgd == 0) return;
  analog::update(array_, h, error, run_.fused_sgd, run_.number);
  at::Tensor(weight).copy_(analog::weights(array_));
  if (bias.defined()) at::Tensor(bias).sub_(error.sum(0), run_.fused_sgd);
}

at::Tensor CrossbarLayer::affine(const at::Tensor& h) const {
  return Product::apply(h, weight, bias.defined() ? bias : at::zeros({weight.size(0)}), this);
}

Crossbars::Crossbars(const Options& options, std::vector<std::int64_t> nodes, std::uint64_t seed)
    : Chain(options), nodes_(std::move(nodes)) {
  if (options.precision != "float32" || options.device != "cpu")
    throw UsageError("analog: arrays are simulated in float32 on the cpu; precision is " + options.precision +
                     ", device " + options.device);
  if (options.dropout > 0) throw UsageError("analog: dropout is not there for crossbars");
  if (route_.upwards())
    throw UsageError("analog: route " + route_.name + " runs upwards through an array, which is not there");
  if (!(options.analog.share > 0 && options.analog.share <= 1))
    throw UsageError("analog-share must be above 0 and at most 1; got " + shortest(options.analog.share));
  const Activation& activation = find_row(activations(), "activation", options.activation);
  for (std::size_t l = 1; l < nodes_.size(); ++l) {
    layers_.push_back(std::make_unique<CrossbarLayer>(l + 1 < nodes_.size() ? &activation : nullptr));
    add(*layers_.back(), seed, {nodes_[l], nodes_[l - 1]});
    if (options.bias) layers_.back()->bias = at::zeros({nodes_[l]}, placed_).requires_grad_();
    layers_.back()->build(options.analog, stream_seed(seed, "crossbar", l));
  }
  complete(seed, {nodes_.begin() + 1, nodes_.end()});
}

at::Tensor Crossbars::forward(const at::Tensor& inputs, const Pass& pass) {
  const at::AutoGradMode graph(pass.training && at::GradMode::is_enabled());
  // Reads in evaluation have streams of their own, the same ones every time: what differs between two evaluations are
  // the weights.
  for (const auto& layer : layers_)
    layer->prepare(pass.training ? CrossbarLayer::Run{pass.step, pass.fused_sgd, 1}
                                 : CrossbarLayer::Run{-1 - pass.step, 0, options_.analog.drift});
  if (pass.training && stale(pass)) {
    const at::NoGradGuard no_grad;
    credit::Weights weights;
    for (const auto& layer : layers_) {
      weights.layers.push_back(layer->weight.detach());
      if (rule_.modulation == "none") continue;
      const std::int64_t dim = wants_incoming() ? 0 : 1;
      (dim == 0 ? weights.incoming : weights.outgoing).push_back(layer->responsibility(dim));
    }
    refresh(pass, weights);
  }
  for (std::size_t l = 0; l + 1 < layers_.size(); ++l)
    layers_[l]->factors = pass.training ? factors_[l] : credit::Factors();
  return credit::forward(route_, blocks_, inputs.flatten(1).to(placed_).contiguous());
}

std::vector<Named> Crossbars::parameters() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    all.push_back({fmt::format("layers.{}.weight", l), layers_[l]->weight});
    if (layers_[l]->bias.defined()) all.push_back({fmt::format("layers.{}.bias", l), layers_[l]->bias});
  }
  return all;
}

std::vector<Named> Crossbars::buffers() const {
  std::vector<Named> all = Chain::buffers();
  for (std::size_t l = 0; l < layers_.size(); ++l)
    for (const auto& [name, value] : analog::state(layers_[l]->array()))
      all.push_back({fmt::format("layers.{}.{}", l, name), value});
  return all;
}

std::string Crossbars::describe() const {
  std::string text = fmt::format("{:<12}{:>16}{:>12}  {}\n", "layer", "weight", "devices", "then");
  for (std::size_t l = 0; l < layers_.size(); ++l)
    text += fmt::format("{:<12}{:>16}{:>12}  {}\n", fmt::format("layers.{}", l),
                        fmt::format("{} × {}", nodes_[l + 1], nodes_[l]), 2 * layers_[l]->weight.numel(),
                        l + 1 < layers_.size() ? options_.activation : "output");
  return text + fmt::format("crossbars of {}; real: {}; responsibility: {}\n", options_.analog.device,
                            options_.analog.real, options_.analog.responsibility);
}

}  // namespace grapes::nn
