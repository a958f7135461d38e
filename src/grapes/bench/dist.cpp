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

/// Microseconds of a run, the median over about `seconds`. Rank 0 decides how often all processes run.
double median_time(const std::function<void()>& run, double seconds, dist::Group* group) {
  const auto median = [&](std::int64_t count) {
    std::vector<double> times = times_in_a_row(count, run);
    std::sort(times.begin(), times.end());
    return quantile(times, 0.5);
  };
  const double count = std::clamp(seconds * 1e6 / median(4), 4.0, 10000.0);
  const std::string all = std::to_string(std::llround(count));
  return median(std::stoll(group != nullptr ? group->broadcast(all) : all));
}

}  // namespace

nlohmann::json to_json(const DistTiming& timing) {
  return {{"name", timing.name},
          {"batch", timing.batch},
          {"processes", timing.processes},
          {"bytes", timing.bytes},
          {"buckets", timing.buckets},
          {"alone_us", timing.alone_us},
          {"step_us", timing.step_us},
          {"efficiency", timing.efficiency()},
          {"exchange_us", timing.exchange_us},
          {"waited_us", timing.waited_us},
          {"overlap", timing.overlap()}};
}

std::vector<DistCase> dist_cases() {
  return {{"mlp:256,256", 64}, {"mlp:2048,2048", 256}, {"cnn:32,64", 64, {3, 32, 32}}, {"snn:256,256", 64}};
}

DistTiming dist(const DistCase& which, dist::Group& group, const Options& options) {
  const kernels::FlushDenormals flush;
  kernels::set_threads(1);
  const Step step = shared_step(which.model, which.input, which.batch);
  DistTiming timing;
  timing.name = which.model;
  timing.batch = which.batch;
  timing.processes = group.size();
  if (group.first()) {  // the others wait, so that the process has the machine for itself
    Learner alone(step);
    timing.alone_us = median_time([&] { alone.step(); }, options.seconds / 3, nullptr);
  }
  group.exchange("");

  Learner together(step, false, &group);
  std::int64_t steps = 0;
  timing.step_us = median_time(
      [&] {
        together.step();
        ++steps;
      },
      options.seconds / 3, &group);
  timing.waited_us = together.waited() * 1e6 / static_cast<double>(steps);

  std::vector<at::Tensor> parameters;
  for (const nn::Named& parameter : together.parameters()) {
    parameters.push_back(parameter.value);
    timing.bytes += static_cast<std::int64_t>(parameter.value.nbytes());
  }
  dist::Buckets buckets(group, parameters);
  timing.buckets = static_cast<std::int64_t>(buckets.count());
  const auto sum = [&] {
    buckets.begin({0.0});
    buckets.finish();
  };
  timing.exchange_us = median_time(sum, options.seconds / 3, &group);
  return timing;
}

}  // namespace grapes::bench
