#include "grapes/nn/neuron.h"

#include "grapes/base/text.h"
#include "grapes/kernels/checked_row.h"
#include "grapes/kernels/loops.h"
#include "grapes/nn/surrogate.h"

#include <ATen/ATen.h>

#include <cmath>

namespace grapes::nn {
namespace {

at::Tensor nonlinear(const std::string& g, const at::Tensor& x) {
  if (g == "relu") return at::relu(x);
  if (g == "leaky_relu") return at::leaky_relu(x, kernels::leaky_slope);
  return x;
}

}  // namespace

void require_possible(const SnuRule& rule) {
  struct Name {
    std::string name;
  };
  checked_row(std::vector<Name>{{"identity"}, {"relu"}, {"leaky_relu"}}, "membrane activation",
              rule.membrane_activation);
  checked_row(std::vector<Name>{{"step"}, {"sigmoid"}}, "neuron output", rule.output);
  checked_row(resets(), "reset", rule.reset);
  checked_row(surrogates(), "surrogate", rule.surrogate);
  TORCH_CHECK_VALUE(rule.surrogate_width > 0 && std::isfinite(rule.surrogate_width),
                    "surrogate_width must be above 0; got ", shortest(rule.surrogate_width));
}

SnuState SnuState::detach() const {
  return {membrane.detach(), output.detach(), current.defined() ? current.detach() : at::Tensor()};
}

SnuState step(const at::Tensor& current, const SnuState& before, const SnuParameters& parameters, const SnuRule& rule) {
  const at::Tensor y = rule.detach_reset ? before.output.detach() : before.output;
  at::Tensor kept = before.membrane;
  if (rule.reset == "hard") kept = kept * (1 - y);
  if (rule.reset == "lateral") kept = kept * (1 - y.amax(-1, true));
  if (rule.reset == "subtract") kept = kept - parameters.threshold * y;
  const at::Tensor s = nonlinear(rule.membrane_activation, current + parameters.decay * kept);
  const at::Tensor x = s - parameters.threshold;
  if (rule.output == "sigmoid") return {s, x.sigmoid()};
  return {s, spike(x, checked_row(surrogates(), "surrogate", rule.surrogate), rule.surrogate_width)};
}

}  // namespace grapes::nn
