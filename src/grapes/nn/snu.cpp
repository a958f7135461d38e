#include "grapes/nn/snu.h"

#include "grapes/base/table.h"
#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/kernels/snu.h"
#include "grapes/kernels/spikes.h"
#include "grapes/nn/readout.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <cmath>
#include <utility>

namespace grapes::nn {
namespace {

SnuState detached(const SnuState& state) {
  return {state.membrane.detach(), state.output.detach(),
          state.current.defined() ? state.current.detach() : at::Tensor()};
}

}  // namespace

at::Tensor SnuLayer::in_one() { TORCH_CHECK(false, "a spiking layer cannot be taken apart"); }

void SnuLayer::prepare(const Pass& pass, std::size_t) {
  present_ = pass.present.defined() ? pass.present.t().contiguous().to(weight.device()) : at::Tensor();
  plain_ = pass.plain;
  // A graph would outlive its step; what is seen in evaluation is kept.
  keep_ = !pass.training;
  trace_ = {};
}

at::Tensor SnuLayer::forward(at::Tensor h, const ErrorPath& path) const {
  SnuTrace trace = run(std::move(h), {}, present_, path);
  if (keep_) trace_ = trace;
  return readout != nullptr && readout->membrane ? trace.membrane : trace.output;
}

bool SnuLayer::fuses(const at::Tensor&) const {
  return !options_.plain && !plain_ && !rounding && threshold.is_cpu() &&
         (threshold.scalar_type() == at::kFloat || threshold.scalar_type() == at::kDouble);
}

SnuTrace SnuLayer::run(at::Tensor x, SnuState state, const at::Tensor& mask, const ErrorPath& path) const {
  SnuState rest = at_rest(x.size(1));
  if (!state.current.defined()) state.current = std::move(rest.current);
  if (!state.membrane.defined()) state.membrane = rest.membrane;
  if (!state.output.defined()) state.output = std::move(rest.output);
  if (fuses(x)) return fused(std::move(x), state, mask, path);
  if (kernels::is_packed(x)) x = kernels::unpack(x, weight.size(1), threshold.scalar_type());
  return plain(x, std::move(state), mask, path);
}

SnuState SnuLayer::at_rest(std::int64_t batch) const {
  const at::Tensor zeros = at::zeros({batch, threshold.size(0)}, threshold.options().requires_grad(false));
  return {zeros, zeros, options_.synapse > 0 ? zeros : at::Tensor()};
}

std::vector<Named> SnuLayer::parameters() const {
  std::vector<Named> all;
  for (const Named& one :
       {Named{"weight", weight, nullptr, storage}, Named{"bias", bias}, Named{"recurrent", recurrent, nullptr, storage},
        Named{"decay", decay}, Named{"threshold", threshold}})
    if (one.value.defined() && one.value.requires_grad()) all.push_back(one);
  return all;
}

/// What arrives from a unit's own layer counts too.
at::Tensor SnuLayer::responsibility(std::int64_t dim, const credit::Rule& rule, const at::Tensor* values) const {
  if (dim != 0 || !recurrent.defined() || rule.responsibility != credit::Responsibility::incoming) return {};
  return grapes::responsibility(values != nullptr ? values[0] : weight,
                                OptionalTensor(values != nullptr ? values[1] : recurrent), 0);
}

/// Step by step, of tensor operations only.
SnuTrace SnuLayer::plain(const at::Tensor& x, SnuState state, const at::Tensor& mask, const ErrorPath& path) const {
  using To = ErrorPath::To;
  const at::Tensor& m = factor();
  const bool scales = m.defined(), travels = scales && !local();
  const bool weighs = weight.defined();
  const at::Tensor W = weighs && scales && local() ? modulate(rounding.weight(weight), m, 0) : rounding.weight(weight);
  // Compounding, m stands on all of the current, so that it also meets what R sends back; else on R's own gradient.
  const bool compounds = travels && compounding_;
  at::Tensor R = recurrent.defined() ? rounding.of("recurrent").weight(recurrent) : recurrent;
  if (R.defined()) R = (scales && !compounds ? modulate(R, m, 0) : R).t();
  std::vector<at::Tensor> outputs, membranes;
  for (std::int64_t t = 0; t < x.size(0); ++t) {
    if (options_.truncate > 0 && t > 0 && t % options_.truncate == 0) state = detached(state);
    const at::Tensor input = x[t], below = path.to == To::weights ? input : input.detach();
    at::Tensor c = weighs ? at::linear(below, W) : input;
    if (path.to == To::matrix) c = grapes::feedback(c, input, path.matrix);
    const Rounding here = rounding ? rounding.of("step", t) : rounding;
    c = here.error_at(c);
    if (travels) c = modulate(c, m, 1);
    if (R.defined()) {
      const at::Tensor back =
          here.of("recurrent").error_at((options_.eprop ? state.output.detach() : state.output).mm(R));
      c = c + (compounds ? modulate(back, m, 1) : back);
    }
    if (state.current.defined()) c = c + options_.synapse * state.current;
    SnuState next = step(c, state, {decay, threshold}, options_.rule);
    if (state.current.defined()) next.current = c;
    outputs.push_back(next.output);
    if (mask.defined()) {
      const at::Tensor runs = mask[t].unsqueeze(1);
      outputs.back() = at::where(runs, next.output, at::zeros_like(next.output));
      next = {at::where(runs, next.membrane, state.membrane), at::where(runs, next.output, state.output),
              state.current.defined() ? at::where(runs, next.current, state.current) : at::Tensor()};
    }
    state = std::move(next);
    membranes.push_back(state.membrane);
  }
  return {at::stack(outputs), at::stack(membranes), state};
}

SnuTrace SnuLayer::fused(at::Tensor x, const SnuState& state, const at::Tensor& mask, const ErrorPath& path) const {
  const SnuRule& rule = options_.rule;
  kernels::Snu kernel;
  kernel.weight = weight;
  kernel.recurrent = recurrent;
  kernel.decay = decay;
  kernel.threshold = threshold;
  kernel.slope = rule.g == "identity" ? 1 : rule.g == "relu" ? 0 : kernels::leaky_slope;
  kernel.smooth = rule.output == "sigmoid";
  kernel.reset = find_row(resets(), "reset", rule.reset).fused;
  kernel.surrogate = find_row(surrogates(), "surrogate", rule.surrogate).fused;
  kernel.width = rule.width;
  kernel.detach_reset = rule.detach_reset;
  kernel.synapse = options_.synapse;
  kernel.eprop = options_.eprop;
  kernel.truncate = options_.truncate;
  kernel.factor = factor();
  kernel.local = local();
  kernel.compounding = compounding_ && !local();
  kernel.path = path;
  using Inputs = SnuOptions::Inputs;
  kernel.most_spikes = options_.inputs == Inputs::measured ? kernels::Spikes::worth
                       : options_.inputs == Inputs::spikes ? 1
                                                           : 0;
  kernel.once = once;
  kernel.workspace = workspace_;
  const kernels::SnuValues values =
      kernels::snu(std::move(x), state.membrane, state.output, state.current, mask, kernel);
  return {values.output, values.membrane, {values.membrane[values.membrane.size(0) - 1], values.last, values.current}};
}

SnuImpl::SnuImpl(std::int64_t in, std::int64_t nodes, SnuOptions options, Rule rule)
    : Routed(std::move(rule), "Snu"),
      in_(in),
      nodes_(nodes),
      options_(std::move(options)),
      layer_(options_, false, nullptr) {
  require_possible(options_.rule);
  TORCH_CHECK(in > 0 && nodes > 0, "grapes::nn::Snu: inputs and nodes must be above 0; got ", in, " and ", nodes);
  TORCH_CHECK(options_.synapse >= 0 && options_.synapse < 1,
              "grapes::nn::Snu: synapse must be at least 0 and below 1; got ", options_.synapse);
  TORCH_CHECK(options_.truncate >= 0, "grapes::nn::Snu: truncate must be 0 or more steps; got ", options_.truncate);
  reset();
}

void SnuImpl::reset() {
  weight = register_parameter("weight", torch::empty({nodes_, in_}));
  const double bound = 1 / std::sqrt(static_cast<double>(options_.recurrent ? nodes_ : in_));
  torch::nn::init::uniform_(weight, -bound, bound);
  recurrent = at::Tensor();
  if (options_.recurrent) {
    recurrent = register_parameter("recurrent", torch::empty({nodes_, nodes_}));
    torch::nn::init::uniform_(recurrent, -bound, bound);
  }
  const auto constant = [&](const char* name, std::int64_t count, double value, bool learns) {
    const at::Tensor values = torch::full({count}, value);
    return learns ? register_parameter(name, values) : register_buffer(name, values);
  };
  using Decay = SnuOptions::Decay;
  decay = constant("decay", options_.learn_decay == Decay::per_node ? nodes_ : 1, options_.decay,
                   options_.learn_decay != Decay::fixed);
  threshold = constant("threshold", nodes_, options_.threshold, options_.learn_threshold);
  if (feeds_back_through_B()) feedback = register_buffer("feedback", feedback_weights({in_, nodes_}, nodes_));
  reset_state();
  SnuOptions options = options_;
  options.eprop = options.eprop || route().local_in_time;
  layer_ = SnuLayer(std::move(options), rule().compounding, std::make_shared<kernels::Workspace>());
  layer_.weight = weight;
  layer_.recurrent = recurrent;
  layer_.decay = decay;
  layer_.threshold = threshold;
}

SnuTrace SnuImpl::run(const at::Tensor& x, SnuState state, const at::Tensor& mask) {
  TORCH_CHECK(x.dim() == 3 && x.size(0) > 0 && x.size(2) == in_, "grapes::nn::Snu: x must be [time, batch, ", in_,
              "], with a step at least; got ", x.sizes());
  TORCH_CHECK(x.scalar_type() == weight.scalar_type(), "grapes::nn::Snu: x must be of the weight's dtype, ",
              weight.scalar_type(), "; got ", x.scalar_type());
  const std::int64_t batch = x.size(1);
  TORCH_CHECK(!mask.defined() || (mask.scalar_type() == at::kBool && mask.dim() == 2 && mask.size(0) == x.size(0) &&
                                  mask.size(1) == batch),
              "grapes::nn::Snu: mask must be bool [time, batch], as x is ", x.sizes(), "; got ",
              mask.defined() ? mask.sizes() : at::IntArrayRef());
  if (options_.stateful && !state.membrane.defined()) state = carried_;
  for (const at::Tensor* part : {&state.membrane, &state.output, &state.current})
    TORCH_CHECK(!part->defined() || part->sizes() == at::IntArrayRef({batch, nodes_}),
                "grapes::nn::Snu: the state must be [", batch, ", ", nodes_, "]; got ", part->sizes(),
                options_.stateful ? "; reset_state() begins anew" : "");
  layer_.factors = factors(next_factor(recurrent));
  const SnuTrace trace = layer_.run(x, std::move(state), mask, down());
  if (options_.stateful) carried_ = detached(trace.last);
  return trace;
}

NeuronsImpl::NeuronsImpl(std::int64_t nodes, SnuOptions options) : nodes_(nodes), options_(std::move(options)) {
  require_possible(options_.rule);
  TORCH_CHECK(nodes > 0, "grapes::nn::Neurons: nodes must be above 0; got ", nodes);
  TORCH_CHECK(!options_.recurrent && !options_.stateful,
              "grapes::nn::Neurons: neither recurrent nor stateful; see grapes::nn::Snu");
  reset();
}

void NeuronsImpl::reset() {
  using Decay = SnuOptions::Decay;
  const auto constant = [&](const char* name, std::int64_t count, double value, bool learns) {
    const at::Tensor values = torch::full({count}, value);
    return learns ? register_parameter(name, values) : register_buffer(name, values);
  };
  decay = constant("decay", options_.learn_decay == Decay::per_node ? nodes_ : 1, options_.decay,
                   options_.learn_decay != Decay::fixed);
  threshold = constant("threshold", nodes_, options_.threshold, options_.learn_threshold);
  workspace_ = std::make_shared<kernels::Workspace>();
}

SnuTrace NeuronsImpl::run(const at::Tensor& current, const at::Tensor& mask) {
  TORCH_CHECK(current.dim() >= 3 && current.size(0) > 0 && current.size(2) == nodes_,
              "grapes::nn::Neurons: the current must be [time, batch, ", nodes_, ", ...], with a step at least; got ",
              current.sizes());
  const std::int64_t places = current.numel() / (current.size(0) * current.size(1) * nodes_);
  const auto everywhere = [&](const at::Tensor& per_node) {
    return places == 1 || per_node.size(0) == 1 ? per_node : per_node.repeat_interleave(places);
  };
  SnuLayer layer(options_, false, workspace_);
  layer.decay = everywhere(decay);
  layer.threshold = nodes_ == 1 ? threshold.expand({places}) : everywhere(threshold);
  SnuTrace trace = layer.run(current.flatten(2), {}, mask, {});
  trace.output = trace.output.view(current.sizes());
  trace.membrane = trace.membrane.view(current.sizes());
  return trace;
}

}  // namespace grapes::nn
