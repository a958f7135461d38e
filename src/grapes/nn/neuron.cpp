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

void require_possible(const SnuOptions& options) {
  require_possible(options.rule());
  const std::int64_t k = options.refractory();
  TORCH_CHECK_VALUE(k >= 0 && (k == 0 || options.rule().output == "step"),
                    "refractory must be at least 0, and 0 unless the output is a step; got ", k, " with output ",
                    options.rule().output);
  for (const auto& [name, value] :
       {std::pair{"synapse", options.synapse()}, {"adaptation_decay", options.adaptation_decay()}})
    TORCH_CHECK_VALUE(value >= 0 && value < 1, name, " must be at least 0 and below 1; got ", shortest(value));
  for (const auto& [name, value] :
       {std::pair{"reset_value", options.reset_value()}, {"adaptation", options.adaptation()}})
    TORCH_CHECK_VALUE(std::isfinite(value), name, " must be finite; got ", shortest(value));
}

SnuState SnuState::detach() const {
  const auto cut = [](const at::Tensor& part) { return part.defined() ? part.detach() : part; };
  return {cut(membrane), cut(output), cut(current), cut(adapted), cut(quiet)};
}

SnuState step(const at::Tensor& current, const SnuState& before, const SnuParameters& parameters, const SnuRule& rule) {
  const at::Tensor y = rule.detach_reset ? before.output.detach() : before.output;
  at::Tensor kept = before.membrane;
  if (rule.reset == "hard")
    kept = parameters.reset_value.defined() ? kept + y * (parameters.reset_value - kept) : kept * (1 - y);
  if (rule.reset == "lateral") kept = kept * (1 - y.amax(-1, true));
  if (rule.reset == "subtract") kept = kept - parameters.threshold * y;
  SnuState now;
  now.membrane = nonlinear(rule.membrane_activation, current + parameters.decay * kept);
  const at::Tensor held = parameters.refractory > 0 ? before.quiet > 0 : at::Tensor();
  if (held.defined()) now.membrane = at::where(held, kept, now.membrane);
  at::Tensor x = now.membrane - parameters.threshold;
  if (parameters.adaptation.defined()) {
    now.adapted = parameters.adaptation_decay * before.adapted + before.output;
    x = x - parameters.adaptation * now.adapted;
  }
  now.output = rule.output == "sigmoid"
                   ? x.sigmoid()
                   : spike(x, checked_row(surrogates(), "surrogate", rule.surrogate), rule.surrogate_width);
  if (held.defined()) {
    now.output = at::where(held, at::zeros_like(now.output), now.output);
    now.quiet =
        at::where(now.output.detach() > 0, at::full_like(before.quiet, static_cast<double>(parameters.refractory)),
                  (before.quiet - 1).clamp_min(0));
  }
  return now;
}

}  // namespace grapes::nn
