// What an update by pulses costs: 256 nodes, 784 inputs, one thread. Counters: pulses that devices got
// and seconds, each per sample.
#include "grapes/analog/crossbar.h"
#include "grapes/base/table.h"
#include "grapes/kernels/threads.h"

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

namespace grapes::analog {
namespace {

/// A sample like those of training: inputs of which a share is above 0, errors of a hundredth.
struct Sample {
  at::Tensor x, error;
  Sample(std::int64_t batch, double active) {
    at::manual_seed(1);
    x = at::rand({batch, 784}) * (at::rand({batch, 784}) < active);
    error = at::randn({batch, 256}) * 0.01;
  }
};

using Update = std::int64_t (*)(Crossbar&, const at::Tensor&, const at::Tensor&, double, std::int64_t);

void pulsed_update(benchmark::State& state, Update update, const char* device, double active, std::int64_t batch) {
  kernels::set_threads(1);
  Crossbar crossbar = make_crossbar(find_row(devices(), "device", device), 256, 784, {}, 1);
  const Sample sample(batch, active);
  std::int64_t step = 0, pulses = 0;
  for (auto _ : state) pulses += update(crossbar, sample.x, sample.error, 0.01, ++step);
  state.counters["pulses"] = static_cast<double>(pulses) / static_cast<double>(step * batch);
  state.counters["sample"] =
      benchmark::Counter(static_cast<double>(step * batch), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
#define GRAPES_UPDATE(name, update, device, active, batch) \
  BENCHMARK_CAPTURE(pulsed_update, name, update, device, active, batch)->Unit(benchmark::kMicrosecond)
GRAPES_UPDATE(constant_sparse, update, "constant-step", 0.2, 1);
GRAPES_UPDATE(constant_sparse_plain, plain::update, "constant-step", 0.2, 1);
GRAPES_UPDATE(constant_dense, update, "constant-step", 1.0, 1);
GRAPES_UPDATE(constant_dense_plain, plain::update, "constant-step", 1.0, 1);
GRAPES_UPDATE(constant_batch, update, "constant-step", 0.2, 64);
GRAPES_UPDATE(soft_bounds_batch, update, "soft-bounds", 0.2, 64);
GRAPES_UPDATE(reram_batch, update, "reram", 0.2, 64);
GRAPES_UPDATE(pcm_batch, update, "pcm", 0.2, 64);
GRAPES_UPDATE(ideal_batch, update, "ideal", 0.2, 64);

void forward_read(benchmark::State& state, const char* device) {
  kernels::set_threads(1);
  const Crossbar crossbar = make_crossbar(find_row(devices(), "device", device), 256, 784, {}, 1);
  const Sample sample(64, 0.2);
  std::int64_t step = 0;
  for (auto _ : state) benchmark::DoNotOptimize(forward(crossbar, sample.x, ++step));
}
BENCHMARK_CAPTURE(forward_read, constant_batch, "constant-step")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(forward_read, pcm_batch, "pcm")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace grapes::analog
