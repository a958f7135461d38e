#include "grapes/nn/snu.h"

#include "grapes/base/table.h"
#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"
#include "grapes/kernels/snu.h"
#include "grapes/kernels/spikes.h"

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

/// Step by step, of tensor operations only.
SnuTrace plain(const SnuLayer& layer, const at::Tensor& x, SnuState state, const at::Tensor& mask) {
  using To = credit::ErrorPath::To;
  const SnuOptions& options = layer.options;
  const at::Tensor& m = layer.factor;
  const bool scales = m.defined(), travels = scales && !layer.local;
  const bool weighs = layer.weight.defined();
  const at::Tensor W = weighs && scales && layer.local ? modulate(layer.weight, m, 0) : layer.weight;
  // Compounding, m stands on all of the current, so that it also meets what R sends back; else on R's own gradient.
  const bool compounds = travels && layer.compounding;
  const at::Tensor R = !layer.recurrent.defined() ? at::Tensor()
                       : scales && !compounds     ? modulate(layer.recurrent, m, 0).t()
                                                  : layer.recurrent.t();
  std::vector<at::Tensor> outputs, membranes;
  for (std::int64_t t = 0; t < x.size(0); ++t) {
    if (options.truncate > 0 && t > 0 && t % options.truncate == 0) state = detached(state);
    const at::Tensor input = x[t], below = layer.path.to == To::weights ? input : input.detach();
    at::Tensor c = weighs ? at::linear(below, W) : input;
    if (layer.path.to == To::matrix) c = grapes::feedback(c, input, layer.path.matrix);
    const credit::Rounding here = layer.rounding ? layer.rounding.of("step", t) : layer.rounding;
    c = here.error_at(c);
    if (travels) c = modulate(c, m, 1);
    if (R.defined()) {
      const at::Tensor back =
          here.of("recurrent").error_at((options.eprop ? state.output.detach() : state.output).mm(R));
      c = c + (compounds ? modulate(back, m, 1) : back);
    }
    if (state.current.defined()) c = c + options.synapse * state.current;
    SnuState next = step(c, state, {layer.decay, layer.threshold}, options.rule);
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

SnuTrace fused(const SnuLayer& layer, at::Tensor x, const SnuState& state, const at::Tensor& mask) {
  const SnuOptions& options = layer.options;
  const SnuRule& rule = options.rule;
  kernels::Snu kernel;
  kernel.weight = layer.weight;
  kernel.recurrent = layer.recurrent;
  kernel.decay = layer.decay;
  kernel.threshold = layer.threshold;
  kernel.slope = rule.g == "identity" ? 1 : rule.g == "relu" ? 0 : kernels::leaky_slope;
  kernel.smooth = rule.output == "sigmoid";
  kernel.reset = find_row(resets(), "reset", rule.reset).fused;
  kernel.surrogate = find_row(surrogates(), "surrogate", rule.surrogate).fused;
  kernel.width = rule.width;
  kernel.detach_reset = rule.detach_reset;
  kernel.synapse = options.synapse;
  kernel.eprop = options.eprop;
  kernel.truncate = options.truncate;
  kernel.factor = layer.factor;
  kernel.local = layer.local;
  kernel.compounding = layer.compounding && !layer.local;
  kernel.path = layer.path;
  using Inputs = SnuOptions::Inputs;
  kernel.most_spikes = options.inputs == Inputs::measured ? kernels::Spikes::worth
                       : options.inputs == Inputs::spikes ? 1
                                                          : 0;
  kernel.once = layer.once;
  kernel.workspace = layer.workspace;
  const kernels::SnuValues values =
      kernels::snu(std::move(x), state.membrane, state.output, state.current, mask, kernel);
  return {values.output, values.membrane, {values.membrane[values.membrane.size(0) - 1], values.last, values.current}};
}

}  // namespace

SnuTrace run(const SnuLayer& layer, at::Tensor x, SnuState state, const at::Tensor& mask) {
  const bool by_steps = layer.options.path == SnuOptions::Path::plain || !layer.threshold.is_cpu() ||
                        (layer.threshold.scalar_type() != at::kFloat && layer.threshold.scalar_type() != at::kDouble);
  if (!by_steps) return fused(layer, std::move(x), state, mask);
  if (kernels::is_packed(x)) x = kernels::unpack(x, layer.weight.size(1), layer.threshold.scalar_type());
  return plain(layer, x, std::move(state), mask);
}

SnuState at_rest(const SnuLayer& layer, std::int64_t batch) {
  const at::Tensor zeros = at::zeros({batch, layer.threshold.size(0)}, layer.threshold.options().requires_grad(false));
  return {zeros, zeros, layer.options.synapse > 0 ? zeros : at::Tensor()};
}

SnuImpl::SnuImpl(std::int64_t in, std::int64_t nodes, SnuOptions options, Rule rule)
    : Routed(std::move(rule), "Snu"), in_(in), nodes_(nodes), options_(std::move(options)) {
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
  workspace_ = std::make_shared<kernels::Workspace>();
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
  const SnuLayer whole = layer(next_factor(recurrent));
  const SnuState rest = at_rest(whole, batch);
  if (!state.current.defined()) state.current = rest.current;
  if (!state.membrane.defined()) state.membrane = rest.membrane;
  if (!state.output.defined()) state.output = rest.output;
  for (const at::Tensor* part : {&state.membrane, &state.output, &state.current})
    TORCH_CHECK(!part->defined() || part->sizes() == rest.membrane.sizes(), "grapes::nn::Snu: the state must be [",
                batch, ", ", nodes_, "]; got ", part->sizes(), options_.stateful ? "; reset_state() begins anew" : "");
  const SnuTrace trace = nn::run(whole, x, std::move(state), mask);
  if (options_.stateful) carried_ = detached(trace.last);
  return trace;
}

SnuLayer SnuImpl::layer(at::Tensor factor) const {
  SnuLayer layer{options_,          weight,     recurrent,          decay,     threshold, down(),
                 std::move(factor), is_local(), rule().compounding, workspace_};
  layer.options.eprop = options_.eprop || route().local_in_time;
  return layer;
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
  SnuLayer layer;
  layer.options = options_;
  layer.decay = everywhere(decay);
  layer.threshold = nodes_ == 1 ? threshold.expand({places}) : everywhere(threshold);
  layer.workspace = workspace_;
  SnuTrace trace = nn::run(layer, current.flatten(2), at_rest(layer, current.size(1)), mask);
  trace.output = trace.output.view(current.sizes());
  trace.membrane = trace.membrane.view(current.sizes());
  return trace;
}

namespace {

at::Tensor counted(const at::Tensor& mask, const at::Tensor& like) { return mask.unsqueeze(-1).to(like.scalar_type()); }
at::Tensor mean_of(const at::Tensor& y, const at::Tensor& mask) {
  return mask.defined() ? y.sum(0) / counted(mask, y).sum(0).clamp_min(1) : y.mean(0);
}
at::Tensor last_of(const at::Tensor& s, const at::Tensor&) { return s[-1]; }  // held where a sequence has ended
at::Tensor max_of(const at::Tensor& s, const at::Tensor& mask) {
  return (mask.defined() ? s.masked_fill(mask.logical_not().unsqueeze(-1), -INFINITY) : s).amax(0);
}
at::Tensor sum_of(const at::Tensor& s, const at::Tensor& mask) {
  return (mask.defined() ? s * counted(mask, s) : s).sum(0);
}

}  // namespace

const std::vector<Readout>& readouts() {
  static const std::vector<Readout> rows = {
      {"mean_rate", "mean over time of y", false, mean_of},
      {"last_membrane", "s after the last step", true, last_of},
      {"max_membrane", "largest s of all steps", true, max_of},
      {"integrated_membrane", "sum over time of s", true, sum_of},
  };
  return rows;
}

}  // namespace grapes::nn
