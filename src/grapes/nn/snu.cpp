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

SnuState detached(const SnuState& state) { return {state.membrane.detach(), state.output.detach()}; }

}  // namespace

SnuImpl::SnuImpl(std::int64_t in, std::int64_t nodes, SnuOptions options, CreditOptions credit)
    : Routed(std::move(credit), "Snu"), in_(in), nodes_(nodes), options_(std::move(options)) {
  require_possible(options_.rule);
  TORCH_CHECK(in > 0 && nodes > 0, "grapes::nn::Snu: inputs and nodes must be above 0; got ", in, " and ", nodes);
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
  if (credit().route == "fa") {
    const double fed = 1 / std::sqrt(static_cast<double>(nodes_));
    feedback = register_buffer("feedback", torch::empty({in_, nodes_}).uniform_(-fed, fed));
  }
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
  for (at::Tensor* part : {&state.membrane, &state.output}) {
    if (!part->defined()) *part = at::zeros({batch, nodes_}, weight.options().requires_grad(false));
    TORCH_CHECK(part->dim() == 2 && part->size(0) == batch && part->size(1) == nodes_,
                "grapes::nn::Snu: the state must be [", batch, ", ", nodes_, "]; got ", part->sizes(),
                options_.stateful ? "; reset_state() begins anew" : "");
  }
  const bool by_steps = options_.path == SnuOptions::Path::plain || !weight.is_cpu() ||
                        (weight.scalar_type() != at::kFloat && weight.scalar_type() != at::kDouble);
  const at::Tensor m = next_factor(recurrent);
  const SnuTrace trace = by_steps ? plain(x, std::move(state), mask, m) : fused(x, state, mask, m);
  if (options_.stateful) carried_ = detached(trace.last);
  return trace;
}

SnuTrace SnuImpl::plain(const at::Tensor& x, SnuState state, const at::Tensor& mask, const at::Tensor& m) const {
  const bool scales = m.defined(), travels = scales && !is_local();
  const at::Tensor W = scales && is_local() ? modulate(weight, m, 0) : weight;
  // Compounding, m stands on all of the current, so that it also meets what R sends back; else on R's own gradient.
  const bool compounds = travels && options_.compounding;
  const at::Tensor R = !recurrent.defined()   ? at::Tensor()
                       : scales && !compounds ? modulate(recurrent, m, 0).t()
                                              : recurrent.t();
  std::vector<at::Tensor> outputs, membranes;
  for (std::int64_t t = 0; t < x.size(0); ++t) {
    if (options_.truncate > 0 && t > 0 && t % options_.truncate == 0) state = detached(state);
    const at::Tensor input = x[t], below = credit().route == "bp" ? input : input.detach();
    at::Tensor c = at::linear(below, W);
    if (credit().route == "fa") c = grapes::feedback(c, input, feedback);
    if (credit().route == "sign-symmetric") c = grapes::feedback(c, input, signs().t());
    if (travels) c = modulate(c, m, 1);
    if (R.defined()) {
      const at::Tensor back = state.output.mm(R);
      c = c + (compounds ? modulate(back, m, 1) : back);
    }
    SnuState next = step(c, state, {decay, threshold}, options_.rule);
    outputs.push_back(next.output);
    if (mask.defined()) {
      const at::Tensor runs = mask[t].unsqueeze(1);
      outputs.back() = at::where(runs, next.output, at::zeros_like(next.output));
      next = {at::where(runs, next.membrane, state.membrane), at::where(runs, next.output, state.output)};
    }
    state = std::move(next);
    membranes.push_back(state.membrane);
  }
  return {at::stack(outputs), at::stack(membranes), state};
}

SnuTrace SnuImpl::fused(const at::Tensor& x, const SnuState& state, const at::Tensor& mask, const at::Tensor& m) const {
  kernels::Snu layer;
  layer.weight = weight;
  layer.recurrent = recurrent;
  layer.decay = decay;
  layer.threshold = threshold;
  const SnuRule& rule = options_.rule;
  layer.slope = rule.g == "identity" ? 1 : rule.g == "relu" ? 0 : kernels::leaky_slope;
  layer.smooth = rule.output == "sigmoid";
  layer.reset = find_row(resets(), "reset", rule.reset).fused;
  layer.surrogate = find_row(surrogates(), "surrogate", rule.surrogate).fused;
  layer.width = rule.width;
  layer.detach_reset = rule.detach_reset;
  layer.truncate = options_.truncate;
  layer.factor = m;
  layer.local = is_local();
  layer.compounding = options_.compounding && !layer.local;
  using To = kernels::Transport::To;
  const std::string& route = credit().route;
  if (route == "dfa") layer.transport.to = To::nowhere;
  if (route == "fa") layer.transport = {To::matrix, feedback};
  if (route == "sign-symmetric") layer.transport = {To::matrix, signs().t()};
  using Inputs = SnuOptions::Inputs;
  layer.most_spikes = options_.inputs == Inputs::measured ? kernels::Spikes::worth
                      : options_.inputs == Inputs::spikes ? 1
                                                          : 0;
  layer.workspace = workspace_;
  const kernels::SnuValues values = kernels::snu(x, state.membrane, state.output, mask, layer);
  return {values.output, values.membrane, {values.membrane[x.size(0) - 1], values.last}};
}

namespace {

at::Tensor counted(const at::Tensor& mask, const at::Tensor& like) { return mask.unsqueeze(-1).to(like.scalar_type()); }
at::Tensor mean_rate(const SnuTrace& trace, const at::Tensor& mask) {
  if (!mask.defined()) return trace.output.mean(0);
  return trace.output.sum(0) / counted(mask, trace.output).sum(0).clamp_min(1);
}
at::Tensor last_membrane(const SnuTrace& trace, const at::Tensor&) { return trace.last.membrane; }
at::Tensor max_membrane(const SnuTrace& trace, const at::Tensor& mask) {
  if (!mask.defined()) return trace.membrane.amax(0);
  return trace.membrane.masked_fill(mask.logical_not().unsqueeze(-1), -INFINITY).amax(0);
}
at::Tensor integrated_membrane(const SnuTrace& trace, const at::Tensor& mask) {
  return (mask.defined() ? trace.membrane * counted(mask, trace.membrane) : trace.membrane).sum(0);
}

}  // namespace

const std::vector<Readout>& readouts() {
  static const std::vector<Readout> rows = {
      {"mean_rate", "mean over time of y", mean_rate},
      {"last_membrane", "s after the last step", last_membrane},
      {"max_membrane", "largest s of all steps", max_membrane},
      {"integrated_membrane", "sum over time of s", integrated_membrane},
  };
  return rows;
}

}  // namespace grapes::nn
