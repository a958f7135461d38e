#include "grapes/plot/samples.h"

#include "grapes/plot/chart.h"

#include <algorithm>

namespace grapes::plot {
using record::Json;
namespace {

/// Where the time axis of a sample lies, from left to right.
constexpr Frame sample_frame{64, 24, 452, 0};
constexpr double sample_width = 460;

/// Time to the right, `levels` upwards, on a frame that ends at `y.from`.
void time_axes(Drawing& drawing, const Scale& x, const Scale& y, const std::vector<double>& levels,
               const std::string& label) {
  Frame frame = sample_frame;
  frame.bottom = y.from;
  axes(drawing, frame, x, y, ticks(x.low, x.high, 6), levels, "step", label);
}

}  // namespace

Drawing raster(const Json& example, const std::string& color) {
  constexpr double least = 40, per_node = 1.1, gap = 12;
  const auto height_of = [&](const Json& layer) { return std::max(least, per_node * layer["shown"].get<double>()); };
  double total = 8;
  for (const Json& layer : example["layers"]) total += height_of(layer) + gap;
  Drawing drawing(sample_width, total + 36);
  const double steps = example["steps"];
  const Scale x{0, steps, sample_frame.left, sample_frame.right};
  time_axes(drawing, x, {0, 1, total - gap, 0}, {}, "");
  double top = 8;
  for (const Json& layer : example["layers"]) {
    const double height = height_of(layer), row = height / layer["shown"].get<double>();
    drawing.rectangle({sample_frame.left, top}, sample_frame.right - sample_frame.left, height, "box");
    drawing.text({sample_frame.left - 8, top + height / 2}, layer["name"], "small end");
    drawing.text({sample_frame.left - 8, top + height / 2 + 14}, layer["nodes"].dump(), "small muted end");
    drawing.open(color);
    for (const Json& spike : layer["spikes"])
      drawing.rectangle({x(spike[0]) + 0.5, top + row * spike[1].get<double>()}, std::max(1.0, x(1) - x(0) - 1),
                        std::max(0.9, row - 0.3), "cell");
    drawing.close();
    top += height + gap;
  }
  return drawing;
}

Drawing membranes(const Json& example, const std::string& color) {
  const Json& traces = example["membranes"]["traces"];
  Extent range;
  range.add(0);
  for (const Json& trace : traces)
    for (const double value : trace) range.add(value);
  range = range.padded(0);
  Drawing drawing(sample_width, 230);
  const Scale x{0, example["steps"], sample_frame.left, sample_frame.right}, y{range.low, range.high, 190, 24};
  time_axes(drawing, x, y, ticks(range.low, range.high, 4), "membrane");
  drawing.open(color);
  for (const Json& trace : traces) {
    std::vector<Point> points;
    for (std::size_t t = 0; t < trace.size(); ++t) points.emplace_back(x(static_cast<double>(t) + 0.5), y(trace[t]));
    drawing.polyline(points, "trace");
  }
  drawing.close();
  return drawing;
}

Drawing piano_roll(const Json& roll, const std::string& color, std::int64_t most_steps) {
  const double steps = std::min<double>(static_cast<double>(most_steps), roll["steps"]);
  Extent notes;
  for (const char* const kind : {"target", "prediction"})
    for (const Json& note : roll[kind]) notes.add(note[1]);
  if (notes.high < notes.low) notes = {59, 61};
  constexpr double row = 6, top = 22;
  const double bottom = top + row * (notes.high - notes.low + 1);
  Drawing drawing(sample_width, bottom + 40);
  const Scale x{0, steps, sample_frame.left, sample_frame.right}, y{notes.low, notes.high + 1, bottom, top};
  const Scale middle{notes.low - 0.5, notes.high + 0.5, bottom, top};  // a note's label stands at the middle of its row
  time_axes(drawing, x, middle, ticks(notes.low, notes.high, 5), "MIDI note");
  drawing.open(color);
  for (const Json& note : roll["prediction"])
    if (note[0] < steps)
      drawing.rectangle({x(note[0]), y(note[1].get<double>() + 1)}, x(1) - x(0), row, "cell", note[2].get<double>());
  drawing.close();
  for (const Json& note : roll["target"])
    if (note[0] < steps)
      drawing.rectangle({x(note[0]) + 0.6, y(note[1].get<double>() + 1) + 0.6}, x(1) - x(0) - 1.2, row - 1.2, "over");
  return drawing;
}

}  // namespace grapes::plot
