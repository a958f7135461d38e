#include "grapes/report/samples.h"

#include "grapes/report/format.h"

#include <algorithm>

namespace grapes::report {
using record::Json;
using svg::Drawing;
using svg::Scale;
namespace {

constexpr double width = 460, left = 64, right = 452;

void time_axis(Drawing& drawing, const Scale& x, double bottom, double steps) {
  drawing.line({left, bottom}, {right, bottom}, "class=\"axis\"");
  const auto ticks = svg::ticks(0, steps, 6);
  for (const double tick : ticks) {
    drawing.line({x(tick), bottom}, {x(tick), bottom + 4}, "class=\"axis\"");
    drawing.text({x(tick), bottom + 17}, svg::tick_label(tick, ticks), "class=\"small muted\" text-anchor=\"middle\"");
  }
  drawing.text({(left + right) / 2, bottom + 34}, "step", "class=\"small muted\" text-anchor=\"middle\"");
}

}  // namespace

Drawing raster(const Json& example, const std::string& color) {
  constexpr double least = 40, per_node = 1.1, gap = 12;
  const auto height_of = [&](const Json& layer) { return std::max(least, per_node * layer["shown"].get<double>()); };
  double total = 8;
  for (const Json& layer : example["layers"]) total += height_of(layer) + gap;
  Drawing drawing(width, total + 36);
  const double steps = example["steps"];
  const Scale x{0, steps, left, right};
  double top = 8;
  for (const Json& layer : example["layers"]) {
    const double height = height_of(layer), row = height / layer["shown"].get<double>();
    drawing.rectangle({left, top}, right - left, height, "fill=\"none\" class=\"grid\"");
    drawing.text({left - 8, top + height / 2}, layer["name"], "class=\"small\" text-anchor=\"end\"");
    drawing.text({left - 8, top + height / 2 + 14}, layer["nodes"].dump(), "class=\"small muted\" text-anchor=\"end\"");
    drawing.open("class=\"" + color + "\"");
    for (const Json& spike : layer["spikes"])
      drawing.rectangle({x(spike[0]) + 0.5, top + row * spike[1].get<double>()}, std::max(1.0, x(1) - x(0) - 1),
                        std::max(0.9, row - 0.3), "class=\"cell\"");
    drawing.close();
    top += height + gap;
  }
  time_axis(drawing, x, top - gap, steps);
  return drawing;
}

Drawing membranes(const Json& example, const std::string& color) {
  const Json& traces = example["membranes"]["traces"];
  double low = 0, high = 0;
  for (const Json& trace : traces)
    for (const double value : trace) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  if (high <= low) high = low + 1;
  Drawing drawing(width, 230);
  const double steps = example["steps"], bottom = 190;
  const Scale x{0, steps, left, right}, y{low, high, bottom, 24};
  drawing.text({2, 12}, "membrane", "class=\"small muted\"");
  const auto levels = svg::ticks(low, high, 4);
  for (const double tick : levels) {
    drawing.line({left, y(tick)}, {right, y(tick)}, "class=\"grid\"");
    drawing.text({left - 7, y(tick) + 4}, svg::tick_label(tick, levels), "class=\"small muted\" text-anchor=\"end\"");
  }
  drawing.open("class=\"" + color + "\"");
  for (const Json& trace : traces) {
    std::vector<svg::Point> points;
    for (std::size_t t = 0; t < trace.size(); ++t) points.emplace_back(x(static_cast<double>(t) + 0.5), y(trace[t]));
    drawing.polyline(points, "class=\"line\" style=\"stroke-width:1.2;opacity:.7\"");
  }
  drawing.close();
  time_axis(drawing, x, bottom, steps);
  return drawing;
}

Drawing piano_roll(const Json& roll, const std::string& color, std::int64_t most_steps) {
  const double steps = std::min<double>(static_cast<double>(most_steps), roll["steps"]);
  double low = 127, high = 0;
  for (const char* const kind : {"target", "prediction"})
    for (const Json& note : roll[kind]) {
      low = std::min(low, note[1].get<double>());
      high = std::max(high, note[1].get<double>());
    }
  if (high < low) low = 59, high = 61;
  constexpr double row = 6, top = 22;
  const double bottom = top + row * (high - low + 1);
  Drawing drawing(width, bottom + 40);
  const Scale x{0, steps, left, right}, y{low, high + 1, bottom, top};
  drawing.text({2, 12}, "MIDI note", "class=\"small muted\"");
  const auto levels = svg::ticks(low, high, 5);
  for (const double tick : levels) {
    drawing.line({left, y(tick + 0.5)}, {right, y(tick + 0.5)}, "class=\"grid\"");
    drawing.text({left - 7, y(tick + 0.5) + 4}, svg::tick_label(tick, levels),
                 "class=\"small muted\" text-anchor=\"end\"");
  }
  drawing.open("class=\"" + color + "\"");
  for (const Json& note : roll["prediction"])
    if (note[0] < steps)
      drawing.rectangle({x(note[0]), y(note[1].get<double>() + 1)}, x(1) - x(0), row,
                        "class=\"cell\" opacity=\"" + svg::coordinate(note[2].get<double>()) + "\"");
  drawing.close();
  for (const Json& note : roll["target"])
    if (note[0] < steps)
      drawing.rectangle({x(note[0]) + 0.6, y(note[1].get<double>() + 1) + 0.6}, x(1) - x(0) - 1.2, row - 1.2,
                        "class=\"over\"");
  time_axis(drawing, x, bottom, steps);
  return drawing;
}

}  // namespace grapes::report
