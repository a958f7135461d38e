#include "grapes/bench/baseline.h"
#include "grapes/bench/step.h"
#include "grapes/kernels/convolution.h"
#include "grapes/nn/models.h"

#include <fmt/format.h>

namespace grapes::bench {
namespace {

Step step_of(const CnnCase& which) {
  Step step;
  step.labels.name = which.model + (which.norm == "none" ? "" : ", batch norm") +
                     (which.recompute ? ", recompute" : "") + fmt::format(", {}", fmt::join(which.input, " x "));
  step.labels.batch = which.batch;
  step.labels.optimizer = "sgd";
  step.labels.precision = which.precision;
  step.network.precision = nn::parse_precision(which.precision);
  step.network.model = {which.model, {}};
  step.network.recompute = which.recompute;
  if (which.norm == "batch") step.network.norm = nn::Norm::batch;
  step.info.input_shape = which.input;
  step.info.outputs = which.outputs;
  std::vector<std::int64_t> shape = which.input;
  shape.insert(shape.begin(), which.batch);
  step.batch = {numbers(shape, "pictures"), classes_in_turn(which.batch, which.outputs)};
  step.rate = 1e-3;
  return step;
}

/// Returns the convolutions in the model's stages.
std::function<void()> convolutions(const CnnCase& which) {
  std::vector<std::function<void()>> all;
  std::vector<std::int64_t> map = {which.batch, which.input[0], which.input[1], which.input[2]};
  std::vector<std::vector<std::int64_t>> kept;
  using Do = nn::Stage::Do;
  for (const nn::Stage& stage : nn::stages_of({which.model, {}}, {which.input, which.outputs})) {
    if (stage.what == Do::keep) kept.push_back(map);
    if (stage.what == Do::add) kept.pop_back();
    if (stage.what != Do::convolve && stage.what != Do::shortcut) continue;
    std::vector<std::int64_t>& in = stage.what == Do::shortcut ? kept.back() : map;
    all.push_back(kernels::bare_convolution(in, {stage.units, in[1], stage.kernel, stage.kernel}, stage.stride,
                                            stage.padding, !all.empty()));
    const auto size = [&](std::int64_t n) { return (n + 2 * stage.padding - stage.kernel) / stage.stride + 1; };
    in = {in[0], stage.units, size(in[2]) / stage.pool, size(in[3]) / stage.pool};
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
        return Group{convolutions(which), arms(steps), false};
      },
      options, kernels::Pool::libtorch, 1);
}

std::vector<CnnCase> cnn_cases() { return {{}, {.norm = "batch"}, {.recompute = true}, {.precision = "bf16"}}; }

}  // namespace grapes::bench
