#include "grapes/bench/turns.h"

#include "grapes/base/stopwatch.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/libraries.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>

namespace grapes::bench {
namespace {

struct Turn {
  std::int64_t threads;
  std::function<void()> run;
  std::optional<Timing> labels = {};  // of an arm; empty: the baseline of the arms that follow
  std::string by = {};                // of a baseline
  std::vector<double> us = {};

  double median() const { return quantile(us, 0.5); }
  double spread() const { return (quantile(us, 0.75) - quantile(us, 0.25)) / 2; }
};

}  // namespace

std::vector<double> times_in_a_row(std::int64_t runs, const std::function<void()>& run) {
  std::vector<double> times;
  for (std::int64_t i = -(runs + 3) / 4; i < runs; ++i) {
    const Stopwatch watch;
    run();
    if (i >= 0) times.push_back(watch.seconds() * 1e6);
  }
  return times;
}

double quantile(const std::vector<double>& sorted, double q) {
  return sorted[static_cast<std::size_t>(std::lround(q * static_cast<double>(sorted.size() - 1)))];
}

std::vector<Timing> take_turns(const std::function<Group()>& make, const Options& options, kernels::Pool pool,
                               int runs) {
  const kernels::FlushDenormals flush;
  std::vector<Turn> turns;
  std::string no_baseline;
  for (const std::int64_t threads : options.threads) {
    kernels::set_threads(threads, pool);
    Group group = make();
    if (group.products) no_baseline = kernels::blas_outdated();
    turns.push_back({threads, std::move(group.baseline), {}, std::move(group.by)});
    for (Arm& arm : group.arms) turns.push_back({threads, std::move(arm.run), std::move(arm.labels)});
  }

  const Stopwatch watch;
  do {
    for (Turn& turn : turns) {
      kernels::set_threads(turn.threads, pool);
      const std::vector<double> times = times_in_a_row(runs, turn.run);
      turn.us.insert(turn.us.end(), times.begin(), times.end());
    }
  } while (watch.seconds() < options.seconds);

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
    timing.step_us = turn.median();
    timing.step_spread_us = turn.spread();
    timing.baseline_us = baseline->median();
    timing.baseline_spread_us = baseline->spread();
    timing.ratio = timing.step_us / timing.baseline_us;
    timing.no_baseline = no_baseline;
    timing.baseline_by = baseline->by;
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
          {"baseline_by", timing.baseline_by},
          {"ratio", timing.no_baseline.empty() ? nlohmann::json(timing.ratio) : nlohmann::json()},
          {"no_baseline", timing.no_baseline.empty() ? nlohmann::json() : nlohmann::json(timing.no_baseline)},
          {"peak_bytes", timing.peak_bytes},
          {"least_bytes", timing.least_bytes},
          {"bytes", timing.bytes},
          {"n", timing.n},
          {"blas", kernels::blas_name()},
          {"onednn", kernels::onednn_name()},
          {"blas_overridden", std::getenv("OPENBLAS_CORETYPE") != nullptr},
          {"instruction_set", kernels::instruction_set().name}};
}

}  // namespace grapes::bench
