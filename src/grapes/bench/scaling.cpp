#include "grapes/bench/scaling.h"

#include "grapes/plot/chart.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace grapes::bench {
namespace {

Timing dense(const MlpCase& which, const Options& options) { return mlp(which, options).back(); }

const std::vector<std::int64_t>& small() {
  static const std::vector<std::int64_t> nodes = {200, 128, 10};
  return nodes;
}

Timing in_time(std::int64_t steps, const Options& options) {
  for (const Timing& timing : snn({.nodes = small(), .steps = steps, .batch = 16}, options))
    if (timing.rule == "grapes" && timing.variant == "spikes") return timing;
  TORCH_INTERNAL_ASSERT(false, "bench snn has no products of spikes");
}

}  // namespace

const std::vector<ScalingAxis>& scaling_axes() {
  static const std::vector<ScalingAxis> axes = {
      {"width",
       "784-width-width-10, batch 64",
       {64, 128, 256, 512, 1024, 2048, 4096},
       [](std::int64_t width, const Options& options) {
         return dense({.nodes = {784, width, width, 10}}, options);
       }},
      {"depth",
       "hidden layers of 64 units, batch 64",
       {1, 2, 5, 10, 20},  // with 50, factors of up to 2 per layer make the step diverge, and it cannot be checked
       [](std::int64_t depth, const Options& options) {
         std::vector<std::int64_t> nodes(static_cast<std::size_t>(depth) + 2, 64);
         nodes.front() = 784, nodes.back() = 10;
         return dense({.nodes = nodes}, options);
       }},
      {"batch",
       "784-256-256-10",
       {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024},
       [](std::int64_t batch, const Options& options) { return dense({.batch = batch}, options); }},
      {"classes",
       "784-256-256-classes, batch 64",
       {2, 10, 100, 1000, 10000},
       [](std::int64_t classes, const Options& options) {
         return dense({.nodes = {784, 256, 256, classes}}, options);
       }},
      {"time", "spiking 200-128-10, batch 16, density 0.13", {10, 25, 50, 100, 250, 1000}, in_time},
  };
  return axes;
}

std::string scaling_picture(const std::vector<ScalingPoint>& points) {
  constexpr double width = 420, height = 300, across = 2;
  plot::Drawing all(across * width + 20, 60);
  all.text({20, 34}, "Time of a training step with GRAPES and of its matrix products alone", "heading");
  double panel = 0;
  for (const ScalingAxis& axis : scaling_axes()) {
    plot::Chart chart{axis.name, "µs"};
    plot::Series step{"step", "a1", {}, {}, true}, baseline{"products", "a0", {}, {}, true};
    for (const ScalingPoint& point : points) {
      if (point.axis != axis.name) continue;
      const auto at = static_cast<double>(point.value);
      const auto add = [&](plot::Series& series, double us, double spread) {
        series.curve.add(at, us, us - spread, us + spread);
      };
      add(step, point.timing.step_us, point.timing.step_spread_us);
      add(baseline, point.timing.baseline_us, point.timing.baseline_spread_us);
      chart.x_ticks.push_back(at);
    }
    if (step.curve.x.empty()) continue;
    chart.series = {step, baseline};
    chart.width = width - 20, chart.height = height - 40;
    chart.logarithmic_x = chart.x_ticks.size() > 1;
    chart.logarithmic_y = true;
    const double column = std::fmod(panel, across), row = std::floor(panel / across);
    if (column == 0) all.grow(height);
    all.text({20 + column * width, 70 + row * height}, axis.name + ": " + axis.summary, "small");
    all.place(plot::line_chart(std::move(chart)), {10 + column * width, 80 + row * height});
    ++panel;
  }
  return all.image(
      "A panel for each quantity: the time of a training step and of its products against it, both axes "
      "logarithmic.");
}

}  // namespace grapes::bench
