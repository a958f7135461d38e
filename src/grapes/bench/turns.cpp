#include "grapes/bench/turns.h"

#include "grapes/kernels/libraries.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

namespace grapes::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Turn {
  std::int64_t threads;
  std::function<void()> run;
  std::optional<Timing> labels = {};  // of an arm; empty: the baseline of the arms that follow
  std::vector<double> us = {};

  double quantile(double q) const {
    return us[static_cast<std::size_t>(std::lround(q * static_cast<double>(us.size() - 1)))];
  }
  double spread() const { return (quantile(0.75) - quantile(0.25)) / 2; }
};

}  // namespace

std::vector<Timing> take_turns(const std::function<Group()>& make, const Options& options, kernels::Pool pool,
                               int runs) {
  const kernels::FlushDenormals flush;
  std::vector<Turn> turns;
  std::string no_baseline;
  for (const std::int64_t threads : options.threads) {
    kernels::set_threads(threads, pool);
    Group group = make();
    if (group.products) no_baseline = kernels::blas_outdated();
    turns.push_back({threads, std::move(group.baseline)});
    for (Arm& arm : group.arms) turns.push_back({threads, std::move(arm.run), std::move(arm.labels)});
  }

  const int warm_up = (runs + 3) / 4;
  const auto start = Clock::now();
  do {
    for (Turn& turn : turns) {
      kernels::set_threads(turn.threads, pool);
      for (int i = 0; i < warm_up + runs; ++i) {
        const auto begin = Clock::now();
        turn.run();
        if (i >= warm_up) turn.us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
      }
    }
  } while (std::chrono::duration<double>(Clock::now() - start).count() < options.seconds);

  std::vector<Timing> timings;
  const Turn* baseline = nullptr;
  for (Turn& turn : turns) {
    std::sort(turn.us.begin(), turn.us.end());
    if (!turn.labels) {
      baseline = &turn;
      continue;
    }
    Timing timing = *turn.labels;
    timing.threads = turn.threads;
    timing.step_us = turn.quantile(0.5);
    timing.step_spread_us = turn.spread();
    timing.baseline_us = baseline->quantile(0.5);
    timing.baseline_spread_us = baseline->spread();
    timing.ratio = timing.step_us / timing.baseline_us;
    timing.no_baseline = no_baseline;
    timing.n = static_cast<std::int64_t>(turn.us.size());
    timings.push_back(std::move(timing));
  }
  return timings;
}

nlohmann::json to_json(const Timing& timing) {
  return {{"case", timing.name},
          {"batch", timing.batch},
          {"threads", timing.threads},
          {"rule", timing.rule},
          {"variant", timing.variant},
          {"optimizer", timing.optimizer},
          {"precision", timing.precision},
          {"dropout", timing.dropout},
          {"input", timing.input},
          {"density", timing.density},
          {"pulses", timing.pulses},
          {"step_us", timing.step_us},
          {"step_spread_us", timing.step_spread_us},
          {"baseline_us", timing.baseline_us},
          {"baseline_spread_us", timing.baseline_spread_us},
          {"ratio", timing.no_baseline.empty() ? nlohmann::json(timing.ratio) : nlohmann::json()},
          {"no_baseline", timing.no_baseline.empty() ? nlohmann::json() : nlohmann::json(timing.no_baseline)},
          {"peak_bytes", timing.peak_bytes},
          {"least_bytes", timing.least_bytes},
          {"bytes", timing.bytes},
          {"n", timing.n}};
}

}  // namespace grapes::bench
