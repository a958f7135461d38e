#include "grapes/nn/crossbar.h"

#include "grapes/base/table.h"
#include "grapes/core/compat.h"
#include "grapes/nn/layer_kind.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

namespace grapes::nn {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// h, W, b -> z. The layer must outlive the graph of a step.
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
    const bool real = layer->array_.options.real.update;
    // The pulses come after the error was sent on, so it was sent through the old weights.
    if (real) layer->pulse(h, own);
    const at::Tensor weight = real ? at::Tensor() : own.t().mm(h);
    return {sent, weight, real || !layer->bias.defined() ? at::Tensor() : own.sum(0), {}};
  }
};

void CrossbarLayer::build(const AnalogOptions& options, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  const analog::Device device = analog::device_of(*options.device);
  analog::Options array = array_options(options);
  try {
    array.scale = analog::scale_for(device, weight.detach(), options.share);
    array_ = analog::make_crossbar(device, weight.size(0), weight.size(1), array, seed);
  } catch (const c10::Error& error) {
    throw UsageError(error.what_without_backtrace());
  }
  program();
}

void CrossbarLayer::program() {
  const at::NoGradGuard no_grad;
  const at::Tensor held = analog::weights(array_);
  if (at::equal(held, weight.detach())) return;
  analog::program(array_, weight.detach(), number_);
  weight.copy_(analog::weights(array_));
}

/// Reads in evaluation use random streams of their own that are always the same. Two evaluations then differ only by
/// the weights.
void CrossbarLayer::prepare(const Pass& pass, std::size_t) {
  number_ = pass.training ? pass.step : -1 - pass.step;
  step_size_ = pass.training ? pass.rate : 0;
  later_ = pass.training ? 1 : drift_;
  program();
}

at::Tensor CrossbarLayer::read(const at::Tensor& h) const {
  const at::NoGradGuard no_grad;
  if (later_ == 1 || !array_.options.real.forward) return analog::forward(array_, h.detach(), number_);
  return analog::forward(analog::later(array_, later_), h.detach(), number_);
}

at::Tensor CrossbarLayer::read_back(const at::Tensor& error) const {
  const at::NoGradGuard no_grad;
  return analog::backward(array_, error, number_);
}

void CrossbarLayer::pulse(const at::Tensor& h, const at::Tensor& error) const {
  const at::NoGradGuard no_grad;
  if (step_size_ == 0) return;
  analog::update(array_, h, error, step_size_, number_);
  at::Tensor(weight).copy_(analog::weights(array_));
  if (bias.defined()) at::Tensor(bias).sub_(error.sum(0), step_size_);
}

at::Tensor CrossbarLayer::affine(const at::Tensor& h) const {
  return Product::apply(h, weight, bias.defined() ? bias : at::zeros({weight.size(0)}), this);
}

std::vector<Named> CrossbarLayer::buffers() const {
  std::vector<Named> all;
  for (const auto& [name, value] : analog::state(array_)) all.push_back({name, value});
  return all;
}

std::unique_ptr<Layer> crossbar_layer(const LayerSetting& setting) {
  auto layer = std::make_unique<CrossbarLayer>(setting.activation, setting.analog.drift);
  layer->weight = setting.weight;
  layer->bias = setting.bias;
  layer->build(setting.analog, setting.seed);
  return layer;
}

}  // namespace grapes::nn
