#include "grapes/experiment/bench.h"

#include "grapes/core/responsibility.h"
#include "grapes/experiment/learner.h"
#include "grapes/experiment/turns.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/threads.h"
#include "grapes/kernels/update.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace grapes::experiment {
namespace {

at::ScalarType dtype_of(const std::string& precision) { return precision == "float64" ? at::kDouble : at::kFloat; }

Learner::Setting setting(const MlpCase& which, const std::string& modulation, bool plain) {
  Learner::Setting one;
  one.network.precision = which.precision;
  one.network.dropout = which.dropout;
  one.network.rule.modulation = modulation;
  one.network.model = which.nodes.size() == 2 ? "linear" : "mlp:";
  for (std::size_t l = 1; l + 1 < which.nodes.size(); ++l)
    one.network.model += (l > 1 ? "," : "") + std::to_string(which.nodes[l]);
  one.signature = {{which.nodes.front()}, which.nodes.back()};
  one.batch = {numbers({which.batch, which.nodes.front()}, "inputs", dtype_of(which.precision)),
               classes_in_turn(which.batch, which.nodes.back())};
  one.optimizer.optimizer = which.optimizer;
  one.descend = which.descend;
  one.plain = plain;
  return one;
}

double largest(const at::Tensor& difference) { return difference.abs().max().item<double>(); }

void require_equal_to_twin(const MlpCase& which, const std::string& modulation) {
  Learner fused(setting(which, modulation, false)), plain(setting(which, modulation, true));
  std::vector<at::Tensor> start;
  for (const nn::Named& parameter : fused.model().parameters()) start.push_back(parameter.value.detach().clone());
  for (int i = 0; i < 4; ++i) {
    fused.step();
    plain.step();
  }
  const auto ours = fused.model().parameters(), twins = plain.model().parameters();
  for (std::size_t i = 0; i < ours.size(); ++i) {
    double difference = largest(ours[i].value - twins[i].value);
    double allowed = which.precision == "float64" ? 1e-12 : 2e-6;
    if (which.precision == "bf16") {
      // A sum in another order is now and then rounded to the neighboring bfloat16, 2⁻⁸ away; through ten layers and
      // four steps that grows to some percent of what was learned. kernels_test holds one layer to 1e-6.
      const at::Tensor moved = twins[i].value - start[i];
      difference = ((ours[i].value - twins[i].value).norm() / moved.norm()).item<double>();
      allowed = 0.2;
    }
    if (!(difference <= allowed))
      throw RunError(
          fmt::format("bench: the fused step ({}, {}, batch {}) differs from its plain twin by {:g} in {}, more "
                      "than {:g}; it is not timed",
                      modulation, which.optimizer, which.batch, difference, ours[i].name, allowed));
  }
}

std::vector<ProductShape> layers_of(const MlpCase& which) {
  std::vector<ProductShape> layers;
  for (std::size_t l = 1; l < which.nodes.size(); ++l)
    layers.push_back({which.batch, which.nodes[l - 1], which.nodes[l], l > 1});
  return layers;
}

/// What training cannot do without: weights and the optimizer's states, the batch, an activation per layer.
std::int64_t least_bytes(const MlpCase& which) {
  std::int64_t weights = 0, activations = which.batch * which.nodes.front();
  for (std::size_t l = 1; l < which.nodes.size(); ++l) {
    weights += which.nodes[l] * which.nodes[l - 1];
    activations += which.batch * which.nodes[l];
  }
  const std::int64_t copies = which.optimizer == "sgd"                                ? 1
                              : which.optimizer == "adam" || which.optimizer == "nag" ? 3
                                                                                      : 2;
  return (weights * copies + activations) * static_cast<std::int64_t>(c10::elementSize(dtype_of(which.precision)));
}

std::int64_t peak_bytes(const MlpCase& which, const std::string& modulation) {
  CountedMemory memory;
  Learner learner(setting(which, modulation, false));
  learner.step();
  memory.start();
  for (int i = 0; i < 3; ++i) learner.step();
  return memory.peak();
}

}  // namespace

std::vector<Timing> bench_mlp(const MlpCase& which, const BenchOptions& options) {
  const kernels::FlushDenormals flush;
  Turns turns;
  std::vector<std::unique_ptr<Learner>> learners;
  for (const auto& rule : rules) require_equal_to_twin(which, rule[1]);
  for (const std::int64_t threads : options.threads) {
    turns.add(threads, products(layers_of(which), dtype_of(which.precision)));
    for (const auto& rule : rules) {
      learners.push_back(std::make_unique<Learner>(setting(which, rule[1], false)));
      turns.add(threads, [learner = learners.back().get()] { learner->step(); });
    }
  }
  turns.take(options.seconds);
  std::vector<Timing> timings;
  for (std::size_t t = 0; t < options.threads.size(); ++t)
    for (std::size_t r = 0; r < std::size(rules); ++r) {
      Timing timing;
      timing.what = joined(which.nodes);
      timing.batch = which.batch;
      timing.rule = rules[r][0];
      timing.optimizer = which.optimizer + (which.descend ? "" : ", gradients written");
      timing.precision = which.precision;
      timing.dropout = which.dropout;
      turns.fill(timing, 3 * t + 1 + r, 3 * t);
      timing.peak_bytes = peak_bytes(which, rules[r][1]);
      timing.least_bytes = least_bytes(which);
      timings.push_back(timing);
    }
  kernels::set_threads(options.threads.front());
  return timings;
}

std::vector<MlpCase> mlp_cases() {
  const std::vector<std::int64_t> deep = {784, 512, 512, 512, 512, 512, 512, 512, 512, 512, 512, 10};
  MlpCase dropout, gradients, momentum, nag, rmsprop, adam, deeper, one, eight, exact, half, deep_half;
  dropout.dropout = 0.1;
  gradients.descend = false;
  momentum.optimizer = "momentum";
  nag.optimizer = "nag";
  rmsprop.optimizer = "rmsprop";
  adam.optimizer = "adam";
  deeper.nodes = deep;
  one.batch = 1;
  eight.batch = 8;
  exact.precision = "float64";
  half.precision = deep_half.precision = "bf16";
  deep_half.nodes = deep;
  return {{}, dropout, gradients, momentum, nag, rmsprop, adam, deeper, one, eight, exact, half, deep_half};
}

namespace {

/// A fused operation and its plain twin over the copying of as many bytes.
std::vector<Timing> against_copy(Timing timing, std::int64_t bytes, const BenchOptions& options,
                                 const std::function<void()>& fused, const std::function<void()>& plain) {
  const auto from = std::make_shared<std::vector<char>>(static_cast<std::size_t>(bytes / 2), char{1});
  const auto into = std::make_shared<std::vector<char>>(from->size());
  Turns turns;
  turns.add(1, [from, into] { std::memcpy(into->data(), from->data(), from->size()); });
  turns.add(1, fused);
  turns.add(1, plain);
  turns.take(options.seconds);
  std::vector<Timing> timings;
  for (const std::size_t which : {1, 2}) {
    timing.rule = which == 1 ? "fused" : "plain";
    turns.fill(timing, which, 0);
    timings.push_back(timing);
  }
  return timings;
}

void require_close(const at::Tensor& ours, const at::Tensor& twin, const std::string& what) {
  const double difference = largest(ours - twin);
  const double allowed = ours.scalar_type() == at::kDouble ? 1e-12 : 2e-6;
  if (!(difference <= allowed))
    throw RunError(fmt::format("bench: fused {} differs from its plain twin by {:g}, more than {:g}; it is not timed",
                               what, difference, allowed));
}

/// One rule over one weight, fused or plain.
struct Updated {
  Updated(const std::string& name, at::ScalarType dtype, bool plain)
      : W(numbers({256, 784}, "W", dtype), plain ? nullptr : std::make_shared<kernels::RowSums>()),
        g(numbers({256, 784}, "g", dtype)),
        state1(at::zeros_like(g)),
        state2(at::zeros_like(g)) {
    const kernels::Rate rate{1e-5};
    const kernels::AdamNumbers adam{0.9, 0.999, 1e-8, 0.1, 0.001};
    const auto pick = [&](auto fused_rule, auto plain_rule, auto... rest) {
      run = [=, this] { plain ? plain_rule(W, g, rest...) : fused_rule(W, g, rest...); };
    };
    if (name == "sgd") pick(kernels::sgd, kernels::plain::sgd, rate);
    if (name == "momentum") pick(kernels::momentum, kernels::plain::momentum, state1, rate, 0.9);
    if (name == "nag") pick(kernels::nag, kernels::plain::nag, state1, state2, rate, 0.9);
    if (name == "rmsprop") pick(kernels::rmsprop, kernels::plain::rmsprop, state1, rate, 0.9, 1e-8);
    if (name == "adam") pick(kernels::adam, kernels::plain::adam, state1, state2, rate, adam);
  }
  kernels::Parameter W;
  at::Tensor g, state1, state2;
  std::function<void()> run;
};

}  // namespace

std::vector<Timing> bench_update(const std::string& optimizer, const std::string& precision,
                                 const BenchOptions& options) {
  const kernels::FlushDenormals flush;
  const at::ScalarType dtype = dtype_of(precision);
  {
    Updated fused(optimizer, dtype, false), plain(optimizer, dtype, true);
    for (Updated* one : {&fused, &plain, &fused, &plain}) one->run();
    require_close(fused.W.value, plain.W.value, optimizer);
  }
  Updated fused(optimizer, dtype, false), plain(optimizer, dtype, true);
  Timing timing;
  timing.what = "256x784";
  timing.optimizer = optimizer;
  timing.precision = precision;
  // Reads and writes W, reads g, and reads and writes each state (nag only reads its second).
  const std::int64_t tensors = optimizer == "sgd" ? 3 : optimizer == "adam" ? 7 : optimizer == "nag" ? 6 : 5;
  return against_copy(timing, tensors * fused.g.numel() * static_cast<std::int64_t>(fused.g.element_size()), options,
                      fused.run, plain.run);
}

std::vector<Timing> bench_factor(const std::vector<std::int64_t>& shape, const std::string& precision,
                                 const BenchOptions& options) {
  const at::Tensor W = numbers(shape, "W", dtype_of(precision));
  const auto plain = [W] { return factor_from(kernels::plain::abs_sums(W)); };
  require_close(factor(W), plain(), "factor");
  Timing timing;
  timing.what = fmt::format("{}", fmt::join(shape, "x"));
  timing.precision = precision;
  // Only read: a copy of half as many bytes reads and writes as many.
  return against_copy(
      timing, W.numel() * static_cast<std::int64_t>(W.element_size()), options, [W] { factor(W); },
      [plain] { plain(); });
}

record::Json to_json(const Timing& timing) {
  return {{"case", timing.what},
          {"batch", timing.batch},
          {"threads", timing.threads},
          {"rule", timing.rule},
          {"optimizer", timing.optimizer},
          {"dropout", timing.dropout},
          {"density", timing.density},
          {"precision", timing.precision},
          {"step_us", timing.step_us},
          {"step_spread_us", timing.step_spread},
          {"floor_us", timing.floor_us},
          {"floor_spread_us", timing.floor_spread},
          {"ratio", timing.ratio},
          {"peak_bytes", timing.peak_bytes},
          {"least_bytes", timing.least_bytes},
          {"n", timing.n}};
}

}  // namespace grapes::experiment
