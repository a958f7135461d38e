#include "grapes/nn/eprop.h"

#include "grapes/base/table.h"
#include "grapes/kernels/loops.h"
#include "grapes/nn/surrogate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace grapes::nn {
namespace {

at::Tensor slope_of(const std::string& g, const at::Tensor& s) {
  if (g == "identity") return at::ones_like(s);
  const double below = g == "relu" ? 0 : kernels::leaky_slope;
  return at::where(s > 0, at::ones_like(s), at::full_like(s, below));
}

void add(at::Tensor& to, const at::Tensor& what) {
  if (!to.requires_grad()) return;
  if (to.grad().defined())
    to.mutable_grad().add_(what);
  else
    to.mutable_grad() = what;
}

}  // namespace

at::Tensor Online::forward(const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  const SnuImpl& layer = *layer_;
  const SnuOptions& options = layer.options();
  const std::int64_t batch = x.size(0), nodes = layer.weight.size(0), in = layer.weight.size(1);
  TORCH_CHECK(x.dim() == 2 && x.size(1) == in, "grapes::nn::Online: x must be [batch, ", in, "]; got ", x.sizes());
  const auto zeros = [&](at::IntArrayRef shape) { return at::zeros(shape, layer.weight.options()); };
  TORCH_CHECK(
      !layer.bias.defined() && !layer.adaptation.defined() && options.refractory() == 0 && !layer.synapse.defined(),
      "grapes::nn::Online: bias, adaptation, refractory steps and synaptic decays of units are not supported");
  const bool recurs = layer.recurrent.defined(), lives_on = options.synapse() > 0;
  if (!past_.state.membrane.defined()) {
    past_ = {{zeros({batch, nodes}), zeros({batch, nodes}), lives_on ? zeros({batch, nodes}) : at::Tensor()},
             {},
             zeros({batch, nodes, in}),
             recurs ? zeros({batch, nodes, nodes}) : at::Tensor(),
             zeros({batch, in}),
             zeros({batch, nodes}),
             zeros({batch, nodes}),
             zeros({batch, nodes}),
             layer.factor()};
  }
  TORCH_CHECK(past_.state.output.size(0) == batch,
              "grapes::nn::Online: the batch size must not change within a sequence; the first step had ",
              past_.state.output.size(0), " examples; got ", batch, "; call begin() to start a new sequence");

  const SnuState before = past_.state;
  at::Tensor c = at::linear(x, layer.weight);
  if (recurs) c = c + before.output.mm(layer.recurrent.t());
  if (lives_on) c = c + options.synapse() * before.current;
  SnuState now = step(c, before, {layer.decay, layer.threshold, layer.reset_value}, options.rule());
  now.current = lives_on ? c : at::Tensor();

  const std::string& reset = options.rule().reset;
  at::Tensor left = at::ones_like(c), kept = before.membrane;
  if (reset == "hard") left = 1 - before.output;
  if (reset == "lateral") left = (1 - before.output.amax(-1, true)).expand_as(c);
  kept = reset == "subtract" ? kept - layer.threshold * before.output : kept * left;
  if (reset == "hard" && layer.reset_value.defined()) kept = kept + layer.reset_value * before.output;
  const at::Tensor through = slope_of(options.rule().membrane_activation, now.membrane),
                   carry = through * layer.decay * left;
  past_.input_trace = options.synapse() * past_.input_trace + x;
  past_.input = carry.unsqueeze(2) * past_.input + through.unsqueeze(2) * past_.input_trace.unsqueeze(1);
  if (recurs) {
    past_.recurrent_trace = options.synapse() * past_.recurrent_trace + before.output;
    past_.recurrent = carry.unsqueeze(2) * past_.recurrent + through.unsqueeze(2) * past_.recurrent_trace.unsqueeze(1);
  }
  past_.decay = carry * past_.decay + through * kept;
  past_.threshold = carry * past_.threshold;
  if (reset == "subtract") past_.threshold = past_.threshold - through * layer.decay * before.output;
  const at::Tensor over = now.membrane - layer.threshold;
  past_.slope = options.rule().output == "sigmoid" ? now.output * (1 - now.output)
                                                   : find_row(surrogates(), "surrogate", options.rule().surrogate)
                                                         .derivative(over / options.rule().surrogate_width);
  past_.state = now;
  return now.output;
}

void Online::learn(const at::Tensor& error) {
  const at::NoGradGuard no_grad;
  TORCH_CHECK(past_.slope.defined(), "grapes::nn::Online: learn() needs a step; call forward() first");
  TORCH_CHECK(error.sizes() == past_.slope.sizes(), "grapes::nn::Online: the error must be ", past_.slope.sizes(),
              "; got ", error.sizes());
  SnuImpl& layer = *layer_;
  const at::Tensor at_membrane = error * past_.slope;
  const at::Tensor at_current = past_.factor.defined() ? at_membrane * past_.factor : at_membrane;
  // Σ_b error[b,n] ε[b,n,i]
  const auto met = [](const at::Tensor& errors, const at::Tensor& eligibility) {
    return (errors.unsqueeze(2) * eligibility).sum(0);
  };
  add(layer.weight, met(at_current, past_.input));
  if (layer.recurrent.defined()) add(layer.recurrent, met(at_current, past_.recurrent));
  const at::Tensor decay = (at_membrane * past_.decay).sum(0);
  add(layer.decay, layer.decay.size(0) == 1 ? decay.sum().view({1}) : decay);
  add(layer.threshold, (at_membrane * (past_.threshold - 1)).sum(0));
}

std::int64_t Online::bytes() const {
  std::int64_t sum = 0;
  for (const at::Tensor* one :
       {&past_.state.membrane, &past_.state.output, &past_.state.current, &past_.slope, &past_.input, &past_.recurrent,
        &past_.input_trace, &past_.recurrent_trace, &past_.decay, &past_.threshold})
    if (one->defined()) sum += static_cast<std::int64_t>(one->nbytes());
  return sum;
}

}  // namespace grapes::nn
