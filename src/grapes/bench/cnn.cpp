#include "grapes/bench/baseline.h"
#include "grapes/bench/step.h"
#include "grapes/kernels/convolution.h"
#include "grapes/nn/models.h"
#include "grapes/nn/plan.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace grapes::bench {
namespace {

/// [batch, steps, channel, rows, columns] of 0 and 1, time first in memory, as data::sequences stores them.
at::Tensor spikes_on_maps(const CnnCase& which) {
  std::vector<std::int64_t> shape = {which.steps, which.batch};
  shape.insert(shape.end(), which.input.begin(), which.input.end());
  return numbers(shape, "pictures").gt(1.126).to(at::kFloat).transpose(0, 1);  // 13 % of normal numbers
}

Step step_of(const CnnCase& which) {
  Step step;
  const bool spikes = which.steps > 0;
  step.labels.name = which.model + (spikes ? fmt::format(", T {}", which.steps) : "") +
                     (which.norm == "none"    ? ""
                      : which.norm == "batch" ? ", batch norm"
                                              : ", " + which.norm + " norm") +
                     (which.recompute ? ", recompute" : "") + fmt::format(", {}", fmt::join(which.input, " x "));
  step.labels.batch = which.batch;
  step.labels.optimizer = "sgd";
  step.labels.precision = which.precision;
  step.network.precision = nn::parse_precision(which.precision);
  step.network.model = nn::parse_model(which.model);
  step.network.recompute = which.recompute;
  if (which.norm == "batch") step.network.norm = nn::Norm::batch;
  if (which.norm == "threshold") step.network.norm = nn::Norm::threshold;
  step.info.input_shape = which.input;
  step.info.outputs = which.outputs;
  step.info.sequence = spikes;
  if (spikes) step.network.spiking.threshold = 0.25;  // spikes reach the last layer
  std::vector<std::int64_t> shape = which.input;
  shape.insert(shape.begin(), which.batch);
  step.batch = {spikes ? spikes_on_maps(which) : numbers(shape, "pictures"),
                classes_in_turn(which.batch, which.outputs)};
  step.rate = 1e-3;
  return step;
}

/// Returns the convolutions in the stages of a step's model. Time steps are computed together, as if they were
/// examples.
std::function<void()> convolutions(const CnnCase& which, const Step& step) {
  const nn::Signature signature = {which.input, which.outputs, which.steps > 0};
  const nn::Stages stages = nn::stages_of(step.network.model, signature);
  const nn::Plan plan = nn::plan(step.network, stages, signature);
  const std::int64_t maps = which.batch * std::max<std::int64_t>(which.steps, 1);
  std::vector<std::function<void()>> all;
  using Do = nn::Stage::Do;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (stages[i].what != Do::convolve && stages[i].what != Do::shortcut) continue;
    const auto& [channels, rows, columns] = plan.stages[i].in;
    all.push_back(kernels::bare_convolution({maps, channels, rows, columns},
                                            {stages[i].units, channels, stages[i].kernel, stages[i].kernel},
                                            stages[i].stride, stages[i].padding, !all.empty()));
  }
  return [all] {
    for (const auto& one : all) one();
  };
}

}  // namespace

std::vector<Timing> cnn(const CnnCase& which, const Options& options) {
  const std::vector<Step> steps = under_both_rules(step_of(which));
  // Compared by norm: rounding sometimes moves a maximum to the neighboring position, and its error with it. In
  // bfloat16 a sum in another order may round to the neighbor, 2⁻⁸ away, in each of nine layers.
  require_equal_to_reference(steps,
                             {.allowed = which.precision == "bf16" ? 0.2 : 0.02, .of_update = true, .examples = 4});
  return take_turns(
      [&] {
        return Group{convolutions(which, steps.front()), arms(steps), false};
      },
      options, kernels::Pool::libtorch, 1);
}

std::vector<CnnCase> cnn_cases() { return {{}, {.norm = "batch"}, {.recompute = true}, {.precision = "bf16"}}; }

std::vector<CnnCase> spiking_cnn_cases() {
  const CnnCase vgg = {.model = "spiking-vgg:64,128", .batch = 4, .steps = 4};
  CnnCase normalized = vgg, recomputed = vgg, residual = vgg, events = vgg;
  normalized.norm = "threshold";
  recomputed.recompute = true;
  residual.model = "spiking-resnet:64,128";
  events.model = "spiking-lenet";
  events.input = {2, 34, 34};
  events.batch = 16;
  events.steps = 25;
  return {vgg, normalized, recomputed, residual, events};
}

}  // namespace grapes::bench
