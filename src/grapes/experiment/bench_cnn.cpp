#include "grapes/experiment/learner.h"
#include "grapes/experiment/turns.h"
#include "grapes/kernels/convolution.h"
#include "grapes/nn/architecture.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <thread>

namespace grapes::experiment {
namespace {

Learner::Setting setting(const CnnCase& which, const std::string& modulation, bool plain) {
  Learner::Setting one;
  one.network.model = which.model;
  one.network.rule.modulation = modulation;
  one.network.precision = which.precision;
  one.network.recompute = which.recompute;
  if (which.norm == "batch") one.network.norm = nn::Norm::batch;
  one.signature = {which.input, which.outputs};
  std::vector<std::int64_t> shape = which.input;
  shape.insert(shape.begin(), which.batch);
  one.batch = {numbers(shape, "pictures", at::kFloat), classes_in_turn(which.batch, which.outputs)};
  one.rate = 1e-3;
  one.plain = plain;
  return one;
}

void require_equal_to_twin(CnnCase which) {
  which.batch = std::min<std::int64_t>(which.batch, 4);
  for (const auto& rule : rules) {
    Learner fused(setting(which, rule[1], false)), plain(setting(which, rule[1], true));
    std::vector<at::Tensor> start;
    for (const nn::Named& parameter : plain.model().parameters()) start.push_back(parameter.value.detach().clone());
    fused.step();
    plain.step();
    // In norm: rounding moves a maximum here and there to the place beside it, and a whole error with it.
    // In bfloat16 a sum in another order may be rounded to the neighbor, 2⁻⁸ away, and that nine layers deep.
    const double allowed = which.precision == "bf16" ? 0.2 : 0.02;
    const auto ours = fused.model().parameters(), twins = plain.model().parameters();
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const at::Tensor moved = twins[i].value - start[i];
      const double difference = ((ours[i].value - twins[i].value).norm() / moved.norm()).item<double>();
      if (!(difference <= allowed))
        throw RunError(
            fmt::format("bench: the update of the fused step ({}) differs from its plain twin's by "
                        "{:g} of its norm in {}, more than {}; it is not timed",
                        rule[0], difference, ours[i].name, allowed));
    }
  }
}

/// On a thread of its own, so that what threads keep for their convolutions is counted too.
std::int64_t peak_bytes(const CnnCase& which, const std::string& modulation) {
  CountedMemory memory;
  std::thread([&] {
    Learner learner(setting(which, modulation, false));
    learner.step();
    memory.start();
    learner.step();
  }).join();
  return memory.peak();
}

/// The convolutions of the model, as its stages say.
std::function<void()> bare(const CnnCase& which) {
  std::vector<std::function<void()>> all;
  std::vector<std::int64_t> map = {which.batch, which.input[0], which.input[1], which.input[2]};
  std::vector<std::vector<std::int64_t>> kept;
  using Do = nn::Stage::Do;
  for (const nn::Stage& stage : nn::stages_of(which.model, which.input[1])) {
    if (stage.what == Do::keep) kept.push_back(map);
    if (stage.what == Do::add) kept.pop_back();
    if (stage.what != Do::convolve && stage.what != Do::shortcut) continue;
    std::vector<std::int64_t>& in = stage.what == Do::shortcut ? kept.back() : map;
    all.push_back(kernels::bare_convolution(in, {stage.nodes, in[1], stage.kernel, stage.kernel}, stage.stride,
                                            stage.padding, !all.empty()));
    const auto size = [&](std::int64_t n) { return (n + 2 * stage.padding - stage.kernel) / stage.stride + 1; };
    in = {in[0], stage.nodes, size(in[2]) / stage.pool, size(in[3]) / stage.pool};
  }
  return [all] {
    for (const auto& one : all) one();
  };
}

}  // namespace

std::vector<Timing> bench_cnn(const CnnCase& which, const BenchOptions& options) {
  const kernels::FlushDenormals flush;
  kernels::set_threads(1, kernels::Pool::libtorch);
  require_equal_to_twin(which);
  Turns turns(kernels::Pool::libtorch, 1);
  std::vector<std::unique_ptr<Learner>> learners;
  std::vector<Timing> timings;
  std::vector<std::size_t> floors;
  for (const std::int64_t threads : options.threads) {
    const std::size_t floor = timings.size() + floors.size() / std::size(rules);
    turns.add(threads, bare(which));
    for (const auto& rule : rules) {
      learners.push_back(std::make_unique<Learner>(setting(which, rule[1], false)));
      turns.add(threads, [learner = learners.back().get()] { learner->step(); });
      Timing timing;
      timing.what = which.model + (which.norm == "none" ? "" : ", batch norm") +
                    (which.recompute ? ", recompute" : "") + fmt::format(", {}", fmt::join(which.input, " x "));
      timing.batch = which.batch;
      timing.rule = rule[0];
      timing.optimizer = "sgd";
      timing.precision = which.precision;
      timing.peak_bytes = peak_bytes(which, rule[1]);
      timings.push_back(timing);
      floors.push_back(floor);
    }
  }
  turns.take(options.seconds);
  for (std::size_t i = 0; i < timings.size(); ++i)
    turns.fill(timings[i], floors[i] + 1 + i % std::size(rules), floors[i]);
  return timings;
}

std::vector<CnnCase> cnn_cases() {
  CnnCase plain, normalized, recomputed, rounded;
  normalized.norm = "batch";
  recomputed.recompute = true;
  rounded.precision = "bf16";
  return {plain, normalized, recomputed, rounded};
}

}  // namespace grapes::experiment
