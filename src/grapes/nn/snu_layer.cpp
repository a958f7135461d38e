#include "grapes/nn/snu_layer.h"

#include "grapes/base/table.h"
#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/kernels/convolution.h"
#include "grapes/kernels/snu.h"
#include "grapes/kernels/spikes.h"
#include "grapes/nn/readout.h"
#include "grapes/nn/surrogate.h"

#include <ATen/ATen.h>

#include <utility>

namespace grapes::nn {

at::Tensor SnuLayer::in_one() { TORCH_CHECK(false, "a spiking layer does not support this call"); }

void SnuLayer::prepare(const Pass& pass, std::size_t) {
  present_ = pass.present.defined() ? pass.present.t().contiguous().to(threshold.device()) : at::Tensor();
  plain_ = pass.plain;
  // In training the graph must not outlive its step, so the trace is kept in evaluation only.
  keep_ = !pass.training;
  trace_ = {};
}

at::Tensor SnuLayer::forward(at::Tensor h, const ErrorPath& path) const {
  SnuTrace trace = run(std::move(h), {}, present_, path);
  if (keep_) trace_ = trace;
  return readout != nullptr && readout->membrane ? trace.membrane : trace.output;
}

bool SnuLayer::fuses(const at::Tensor&) const {
  return !options_.plain() && !plain_ && !rounding && !adaptation.defined() && options_.refractory() == 0 &&
         !(synapse.defined() && synapse.requires_grad()) && threshold.is_cpu() &&
         (threshold.scalar_type() == at::kFloat || threshold.scalar_type() == at::kDouble);
}

SnuTrace SnuLayer::run(at::Tensor x, SnuState state, const at::Tensor& present, const ErrorPath& path) const {
  const SnuState rest = at_rest(x.size(1));
  for (const auto part :
       {&SnuState::membrane, &SnuState::output, &SnuState::current, &SnuState::adapted, &SnuState::quiet})
    if (!(state.*part).defined()) state.*part = rest.*part;
  if (fuses(x)) return fused(std::move(x), state, present, path);
  if (kernels::is_packed(x)) x = kernels::unpack(x, weight.size(1), threshold.scalar_type());
  return plain(x, std::move(state), present, path);
}

SnuTrace SnuLayer::on_map(at::Tensor current, const SnuState& state, const at::Tensor& present) const {
  const std::vector<std::int64_t> sizes = current.sizes().vec();
  at::Tensor flat = current.flatten(2);
  current.reset();
  const std::int64_t values = flat.size(2), lanes = sizes.size() == 6 ? sizes[5] : 1, channels = sizes[2] * lanes;
  SnuLayer all = *this;
  // Constants per channel, or per value in the order of a map by channel, become constants per value of this map.
  const auto everywhere = [&](const at::Tensor& one) {
    if (!one.defined() || one.size(0) == 1) return one;
    const std::int64_t positions = values / channels;
    return one.view({sizes[2], lanes, one.size(0) / channels})
        .transpose(1, 2)
        .expand({sizes[2], positions, lanes})
        .reshape({values});
  };
  all.decay = everywhere(decay);
  all.threshold = threshold.size(0) == 1 ? threshold.expand({values}) : everywhere(threshold);
  all.synapse = everywhere(synapse);
  all.reset_value = everywhere(reset_value);
  all.adaptation = everywhere(adaptation);
  all.adaptation_decay = everywhere(adaptation_decay);
  SnuTrace trace = all.run(std::move(flat), state, present, {});
  trace.output = trace.output.view(sizes);
  trace.membrane = trace.membrane.view(sizes);
  return trace;
}

at::Tensor SnuLayer::fire(at::Tensor current) const {
  SnuTrace trace = on_map(std::move(current), {}, present_);
  const auto flat = [](const at::Tensor& map) { return kernels::unblocked(map, 2).flatten(2); };
  if (keep_) trace_ = {flat(trace.output), flat(trace.membrane), {}};
  return trace.output;
}

SnuState SnuLayer::at_rest(std::int64_t batch) const {
  const std::int64_t units = threshold.size(0);
  const at::Tensor zeros = at::zeros({1, units}, threshold.options().requires_grad(false)).expand({batch, units});
  const at::Tensor none;
  return {zeros, zeros, synapse.defined() ? zeros : none, adaptation.defined() ? zeros : none,
          options_.refractory() > 0 ? zeros : none};
}

void SnuLayer::add_constants(std::int64_t nodes, const at::TensorOptions& placed, bool own) {
  using Decay = SnuOptions::Decay;
  const bool learns = options_.learn_decay() != Decay::fixed;
  const auto constant = [&](double value, bool per_unit, bool learned) {
    return at::full({own || per_unit ? nodes : 1}, value, placed).requires_grad_(learned);
  };
  own_constants = own;
  decay = constant(options_.decay(), options_.learn_decay() == Decay::per_node, learns);
  threshold = constant(options_.threshold(), true, options_.learn_threshold());
  if (options_.synapse() > 0)
    synapse = constant(options_.synapse(), options_.learn_synapse() && options_.learn_decay() == Decay::per_node,
                       options_.learn_synapse());
  if (own || options_.reset_value() != 0) reset_value = constant(options_.reset_value(), false, false);
  if (options_.adaptation() != 0) {
    adaptation = constant(options_.adaptation(), false, false);
    adaptation_decay = constant(options_.adaptation_decay(), false, false);
  }
}

std::vector<Named> SnuLayer::constants() const {
  return {{"decay", decay},           {"threshold", threshold},
          {"synapse", synapse},       {"reset_value", reset_value},
          {"adaptation", adaptation}, {"adaptation_decay", adaptation_decay}};
}

std::vector<Named> SnuLayer::parameters() const {
  std::vector<Named> all;
  for (const Named& one : {Named{"weight", weight, nullptr, storage}, Named{"bias", bias},
                           Named{"recurrent", recurrent, nullptr, storage}})
    if (one.value.defined() && one.value.requires_grad()) all.push_back(one);
  for (const Named& one : constants())
    if (one.value.defined() && one.value.requires_grad()) all.push_back(one);
  return all;
}

std::vector<Named> SnuLayer::buffers() const {
  std::vector<Named> all;
  for (const Named& one : constants())
    if (own_constants && one.value.defined() && !one.value.requires_grad()) all.push_back(one);
  return all;
}

/// Recurrent weights are included.
at::Tensor SnuLayer::responsibility(std::int64_t dim, const credit::Rule& rule, const at::Tensor* values) const {
  if (dim != 0 || !recurrent.defined() || rule.responsibility != credit::Responsibility::incoming) return {};
  const std::size_t at = bias.defined() ? 2 : 1;  // in parameters()
  return grapes::responsibility(values != nullptr ? values[0] : weight,
                                OptionalTensor(values != nullptr ? values[at] : recurrent), 0, {},
                                rule.reduction == credit::Reduction::mean);
}

/// Step by step, with tensor operations only.
SnuTrace SnuLayer::plain(const at::Tensor& x, SnuState state, const at::Tensor& present, const ErrorPath& path) const {
  using To = ErrorPath::To;
  const at::Tensor& m = factor();
  const bool scales = m.defined(), travels = scales && !local();
  const bool weighs = weight.defined();
  const at::Tensor W = weighs && scales && local() ? modulate(rounding.weight(weight), m, 0) : rounding.weight(weight);
  // With compounding, m scales the error at the whole current, which includes the error from R. Otherwise only R's own
  // gradient is scaled.
  const bool compounds = travels && compounding_;
  at::Tensor R = recurrent.defined() ? rounding.of("recurrent").weight(recurrent) : recurrent;
  if (R.defined()) R = (scales && !compounds ? modulate(R, m, 0) : R).t();
  const at::Tensor b = bias.defined() && scales && local() ? modulate(bias, m, 0) : bias;
  std::vector<at::Tensor> outputs, membranes;
  for (std::int64_t t = 0; t < x.size(0); ++t) {
    if (options_.truncate() > 0 && t > 0 && t % options_.truncate() == 0) state = state.detach();
    const at::Tensor input = x[t], below = path.to == To::weights ? input : input.detach();
    at::Tensor c = weighs ? at::linear(below, W) : input;
    if (path.to == To::matrix) c = grapes::feedback(c, input, path.matrix);
    if (b.defined()) c = c + b;
    const Rounding here = rounding ? rounding.of("step", t) : rounding;
    c = here.error_at(c);
    if (travels) c = modulate(c, m, 1);
    if (R.defined()) {
      const at::Tensor back =
          here.of("recurrent").error_at((options_.eprop() ? state.output.detach() : state.output).mm(R));
      c = c + (compounds ? modulate(back, m, 1) : back);
    }
    if (synapse.defined()) c = c + synapse * state.current;
    SnuState next = step(c, state, {decay, threshold, reset_value, adaptation, adaptation_decay, options_.refractory()},
                         options_.rule());
    if (synapse.defined()) next.current = c;
    outputs.push_back(next.output);
    if (present.defined()) {
      const at::Tensor runs = present[t].unsqueeze(1);
      outputs.back() = at::where(runs, next.output, at::zeros_like(next.output));
      for (const auto part :
           {&SnuState::membrane, &SnuState::output, &SnuState::current, &SnuState::adapted, &SnuState::quiet})
        if ((next.*part).defined()) next.*part = at::where(runs, next.*part, state.*part);
    }
    state = std::move(next);
    membranes.push_back(state.membrane);
  }
  return {at::stack(outputs), at::stack(membranes), state};
}

SnuTrace SnuLayer::fused(at::Tensor x, const SnuState& state, const at::Tensor& present, const ErrorPath& path) const {
  const SnuRule& rule = options_.rule();
  kernels::Snu kernel;
  kernel.weight = weight;
  kernel.bias = bias;
  kernel.recurrent = recurrent;
  kernel.decay = decay;
  kernel.threshold = threshold;
  kernel.slope = rule.membrane_activation == "identity" ? 1
                 : rule.membrane_activation == "relu"   ? 0
                                                        : kernels::leaky_slope;
  kernel.smooth = rule.output == "sigmoid";
  kernel.reset = find_row(resets(), "reset", rule.reset).fused;
  kernel.surrogate = find_row(surrogates(), "surrogate", rule.surrogate).fused;
  kernel.width = rule.surrogate_width;
  kernel.detach_reset = rule.detach_reset;
  const auto everywhere = [&](const at::Tensor& one) { return one.defined() ? one.expand({threshold.size(0)}) : one; };
  kernel.synapse = everywhere(synapse);
  if (rule.reset == "hard" && reset_value.defined()) {
    kernel.reset = kernels::Reset::value;
    kernel.rest = everywhere(reset_value);
  }
  kernel.eprop = options_.eprop();
  kernel.truncate = options_.truncate();
  kernel.factor = factor();
  kernel.local = local();
  kernel.compounding = compounding_ && !local();
  kernel.path = path;
  using Inputs = SnuOptions::Inputs;
  kernel.most_spikes = options_.inputs() == Inputs::measured ? kernels::Spikes::worth
                       : options_.inputs() == Inputs::spikes ? 1
                                                             : 0;
  kernel.once = once;
  kernel.workspace = workspace_;
  const kernels::SnuValues values =
      kernels::snu(std::move(x), state.membrane, state.output, state.current, present, kernel);
  return {values.output, values.membrane, {values.membrane[values.membrane.size(0) - 1], values.last, values.current}};
}

}  // namespace grapes::nn
