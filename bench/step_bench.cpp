// What one training step costs, and what GRAPES adds to it: 784-256-256-10, batch 64, float32, one thread.
#include "grapes/core/responsibility.h"
#include "grapes/kernels/dropout.h"
#include "grapes/kernels/threads.h"
#include "grapes/train/step.h"

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

namespace grapes {
namespace {

void training_step(benchmark::State& state, const char* modulation, double dropout) {
  kernels::set_threads(1);
  nn::Options options;
  options.rule.modulation = modulation;
  options.dropout = dropout;
  train::TrainState learner(options, {}, {}, {data::ProblemKind::classification, {784}, 10, {}});
  const data::Batch batch{at::rand({64, 784}), at::randint(10, {64}, at::kLong)};
  nn::Pass pass;
  for (auto _ : state) {
    train::StepOptions step;
    step.rate = 0.01;
    benchmark::DoNotOptimize(train::step(learner, batch, pass, step).loss);
    ++pass.step;
  }
}
BENCHMARK_CAPTURE(training_step, bp, "none", 0.0)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(training_step, grapes, "grapes", 0.0)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(training_step, grapes_dropout, "grapes", 0.1)->Unit(benchmark::kMicrosecond);

/// The floor: forward h Wᵀ, backward δᵀh and δW, without the first layer's δW.
void bare_products(benchmark::State& state) {
  kernels::set_threads(1);
  const at::NoGradGuard no_grad;
  const std::vector<std::int64_t> nodes = {784, 256, 256, 10};
  std::vector<at::Tensor> W, h, delta;
  for (std::size_t l = 0; l < nodes.size(); ++l) h.push_back(at::rand({64, nodes[l]}));
  for (std::size_t l = 0; l + 1 < nodes.size(); ++l) {
    W.push_back(at::rand({nodes[l + 1], nodes[l]}));
    delta.push_back(at::rand({64, nodes[l + 1]}));
  }
  for (auto _ : state)
    for (std::size_t l = 0; l < W.size(); ++l) {
      benchmark::DoNotOptimize(at::mm(h[l], W[l].t()));
      benchmark::DoNotOptimize(at::mm(delta[l].t(), h[l]));
      if (l > 0) benchmark::DoNotOptimize(at::mm(delta[l], W[l]));
    }
}
BENCHMARK(bare_products)->Unit(benchmark::kMicrosecond);

void factor_of_a_layer(benchmark::State& state) {
  kernels::set_threads(1);
  const at::Tensor W = at::randn({256, 784});
  for (auto _ : state) benchmark::DoNotOptimize(factor(W));
}
BENCHMARK(factor_of_a_layer)->Unit(benchmark::kMicrosecond);

void dropout_mask(benchmark::State& state) {
  std::int64_t step = 0;
  for (auto _ : state) benchmark::DoNotOptimize(kernels::dropout_mask(step++, 64, 256, 0.1, at::kFloat));
}
BENCHMARK(dropout_mask)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace grapes
