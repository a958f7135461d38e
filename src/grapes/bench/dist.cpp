#include "grapes/base/stopwatch.h"
#include "grapes/bench/baseline.h"
#include "grapes/bench/step.h"
#include "grapes/dist/buckets.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace grapes::bench {
namespace {

Step shared_step(const std::string& model, std::vector<std::int64_t> input, std::int64_t batch) {
  Step step;
  step.labels.name = model;
  step.labels.batch = batch;
  step.network.model = nn::parse_model(model);
  step.network.rule.modulation = "grapes";
  step.info.input_shape = input;
  step.info.outputs = 10;
  input.insert(input.begin(), batch);
  step.batch = {numbers(input, "inputs").abs().clamp(0, 1), classes_in_turn(batch, 10)};
  return step;
}

std::vector<Step> shared_steps() {
  return {shared_step("mlp:256,256", {1, 28, 28}, 64), shared_step("mlp:2048,2048", {1, 28, 28}, 256),
          shared_step("cnn:32,64", {3, 32, 32}, 64), shared_step("snn:256,256", {1, 28, 28}, 64)};
}

/// Microseconds of each of `count` runs, after a quarter as many that warm up.
std::vector<double> times_of(std::int64_t count, const std::function<void()>& run) {
  std::vector<double> times;
  for (std::int64_t i = -count / 4; i < count; ++i) {
    const Stopwatch watch;
    run();
    if (i >= 0) times.push_back(watch.seconds() * 1e6);
  }
  return times;
}

double median(std::vector<double> times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

}  // namespace

nlohmann::json to_json(const DistTiming& timing) {
  return {{"name", timing.name},
          {"batch", timing.batch},
          {"processes", timing.processes},
          {"alone_us", timing.alone_us},
          {"step_us", timing.step_us},
          {"efficiency", timing.efficiency()},
          {"exchange_us", timing.exchange_us},
          {"waited_us", timing.waited_us},
          {"overlap", timing.overlap()}};
}

std::vector<DistTiming> dist(dist::Group& group, const Options& options) {
  const kernels::FlushDenormals flush;
  kernels::set_threads(1);
  std::vector<DistTiming> all;
  for (const Step& step : shared_steps()) {
    DistTiming timing;
    timing.name = step.labels.name;
    timing.batch = step.labels.batch;
    timing.processes = group.size();
    const auto count_for = [&](double microseconds) {  // rank 0 decides how often all run
      const double count = std::clamp(options.seconds / 3 * 1e6 / microseconds, 4.0, 10000.0);
      return std::stoll(group.broadcast(std::to_string(std::llround(count))));
    };
    double first = 1;
    if (group.first()) {  // the others wait, so that the process has the machine for itself
      Learner alone(step);
      first = median(times_of(4, [&] { alone.step(); }));
      const double count = std::clamp(options.seconds / 3 * 1e6 / first, 4.0, 10000.0);
      timing.alone_us = median(times_of(std::llround(count), [&] { alone.step(); }));
    }
    group.exchange("alone " + timing.name, "");

    Learner together(step, false, &group);
    double few = median(times_of(4, [&] { together.step(); }));
    const std::int64_t count = count_for(few);
    const double before = together.waited();
    timing.step_us = median(times_of(count, [&] { together.step(); }));
    timing.waited_us = (together.waited() - before) * 1e6 / static_cast<double>(count + count / 4);

    std::vector<at::Tensor> parameters;
    for (const nn::Named& parameter : together.parameters()) parameters.push_back(parameter.value);
    dist::Buckets buckets(group, parameters);
    const auto sum = [&] {
      buckets.begin({0.0});
      buckets.finish();
    };
    few = median(times_of(4, sum));
    timing.exchange_us = median(times_of(count_for(few), sum));
    all.push_back(timing);
  }
  return all;
}

}  // namespace grapes::bench
