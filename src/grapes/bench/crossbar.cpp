#include "grapes/analog/crossbar.h"

#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/bench/baseline.h"
#include "grapes/bench/turns.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <memory>

namespace grapes::bench {
namespace {

constexpr double learning_rate = 0.01;

analog::Crossbar array_of(const CrossbarCase& which) {
  return analog::make_crossbar(find_row(analog::devices(), "device", which.device), 256, 784, {}, 1);
}

/// Repeats an operation on an array with new random numbers each time.
std::function<void()> repeated(const CrossbarCase& which, auto what) {
  return
      [what, array = std::make_shared<analog::Crossbar>(array_of(which)), step = 0]() mutable { what(*array, ++step); };
}

}  // namespace

std::vector<Timing> crossbar(const CrossbarCase& which, const Options& options) {
  at::manual_seed(1);
  const at::Tensor x = at::rand({which.batch, 784}) * (at::rand({which.batch, 784}) < which.active);
  const at::Tensor error = at::randn({which.batch, 256}) * 0.01, W = numbers({256, 784}, "W");
  const at::Tensor outer = at::empty({256, 784}), product = at::empty({which.batch, 256});
  const auto fused = [=](analog::Crossbar& array, std::int64_t step) {
    return analog::update(array, x, error, learning_rate, step);
  };
  const auto plain = [=](analog::Crossbar& array, std::int64_t step) {
    return analog::plain::update(array, x, error, learning_rate, step);
  };

  Timing labels;
  labels.name = fmt::format("update, {}, 256x784", which.device);
  labels.batch = which.batch;
  labels.density = (x > 0).to(at::kFloat).mean().item<double>();
  analog::Crossbar ours = array_of(which);
  labels.pulses = static_cast<double>(fused(ours, 1)) / static_cast<double>(which.batch);
  const auto updates = [&] {
    at::Tensor into = outer;
    Group group{[=]() mutable { at::mm_out(into, error.t(), x); }, {{labels, repeated(which, fused)}}};
    group.arms[0].labels.variant = "fused";
    if (which.plain) {
      group.arms.push_back({labels, repeated(which, plain)});
      group.arms[1].labels.variant = "plain";
    }
    return group;
  };
  const auto reads = [&] {
    at::Tensor into = product;
    Group group{[=]() mutable { at::mm_out(into, x, W.t()); },
                {{labels, repeated(which, [=](const analog::Crossbar& array, std::int64_t step) {
                    analog::forward(array, x, step);
                  })}}};
    group.arms[0].labels.name = fmt::format("read, {}, 256x784", which.device);
    group.arms[0].labels.pulses = 0;
    return group;
  };
  if (which.plain) {
    analog::Crossbar reference = array_of(which);
    plain(reference, 1);
    if (!at::equal(analog::weights(ours), analog::weights(reference)))
      throw RunError("bench: the fused update of " + which.device + " differs from its reference");
  }
  std::vector<Timing> timings = take_turns(updates, options, kernels::Pool::blas, 4);
  for (const Timing& timing : take_turns(reads, options)) timings.push_back(timing);
  return timings;
}

std::vector<CrossbarCase> crossbar_cases() {
  return {{.batch = 1, .plain = true},
          {.batch = 1, .active = 1, .plain = true},
          {},
          {.device = "soft-bounds"},
          {.device = "reram"},
          {.device = "pcm"},
          {.device = "ideal"}};
}

}  // namespace grapes::bench
