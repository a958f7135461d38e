#include "grapes/plot/pictures.h"

#include "grapes/base/text.h"
#include "grapes/plot/chart.h"
#include "grapes/plot/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace grapes::plot {
namespace {

double sum(const CostBar& bar) { return std::accumulate(bar.parts.begin(), bar.parts.end(), 0.0); }

/// Writes three significant digits.
std::string short_number(double value) {
  if (value <= 0) return "0";
  return fixed(value, std::max(0, 2 - static_cast<int>(std::floor(std::log10(value)))));
}

std::string cell(std::size_t part) { return "cell a" + std::to_string(part); }

/// The count as a part of the largest.
double height_of(const record::Histogram& histogram, std::size_t bin) {
  const std::int64_t most = *std::max_element(histogram.counts.begin(), histogram.counts.end());
  return static_cast<double>(histogram.counts[bin]) / static_cast<double>(std::max<std::int64_t>(1, most));
}

constexpr double panel_width = 312, panel_height = 248;

Drawing panel(const DeviceResponse& device) {
  const std::size_t last = device.mean.size() - 1, every = std::max<std::size_t>(1, last / 240);
  Curve weights, expected;
  for (std::size_t n = 0; n <= last; ++n)
    if (n % every == 0 || n == device.turn || n == last) {  // as many points as are distinguishable, and the turn
      const double center = device.mean[n], sd = device.sd[n], closed = device.expected[n];
      weights.add(static_cast<double>(n), center, center - sd, center + sd);
      expected.add(static_cast<double>(n), closed, closed, closed);
    }
  Chart chart{"pulses: up, then down", "", {{"", "a2", weights}, {"", "over broken", expected}}};
  chart.width = panel_width;
  chart.height = panel_height - 16;
  chart.legend = false;
  chart.x_ticks = {0, static_cast<double>(device.turn), static_cast<double>(last)};
  Drawing drawing(panel_width, panel_height);
  drawing.text({4, 14}, device.name, "strong");
  drawing.text({4, 30}, device.note, "small muted");
  drawing.place(line_chart(chart), {0, 16});
  return drawing;
}

}  // namespace

std::string cost_picture(const std::string& title, const std::string& unit, const std::vector<std::string>& parts,
                         const std::vector<CostBar>& bars) {
  for (const CostBar& bar : bars)
    if (bar.parts.size() != parts.size() ||
        !std::all_of(bar.parts.begin(), bar.parts.end(), [](double part) { return part >= 0; }))
      throw std::invalid_argument("cost picture: '" + bar.label + "' must have a number from 0 for every part");
  constexpr double pitch = 22, thick = 14, top = 62, character = 7.2, extent = 460;
  std::size_t widest = 0;
  double most = 0;
  for (const CostBar& bar : bars) {
    widest = std::max(widest, display_width(bar.label));
    most = std::max(most, sum(bar));
  }
  const double left = 16 + character * static_cast<double>(widest),
               bottom = top + pitch * static_cast<double>(bars.size());
  Drawing drawing(left + extent + 64, bottom + 44);
  drawing.text({8, 20}, title, "strong");
  double x = left;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    drawing.rectangle({x, 34}, 11, 11, cell(part));
    drawing.text({x + 15, 44}, parts[part], "small muted");
    x += 34 + character * static_cast<double>(display_width(parts[part]));
  }
  const Scale scale{0, most > 0 ? most : 1, left, left + extent};
  axes(drawing, {left, top - 4, left + extent, bottom}, scale, {0, 1, bottom, top}, ticks(scale.low, scale.high, 6), {},
       unit, "");
  for (std::size_t row = 0; row < bars.size(); ++row) {
    const double y = top + pitch * static_cast<double>(row);
    drawing.text({left - 6, y + 12}, bars[row].label, "small end");
    double from = 0;
    for (std::size_t part = 0; part < parts.size(); ++part) {
      const double to = from + bars[row].parts[part];
      drawing.open("", bars[row].label + ", " + parts[part] + ": " + short_number(bars[row].parts[part]) + " " + unit);
      drawing.rectangle({scale(from), y + 1}, scale(to) - scale(from), thick, cell(part));
      drawing.close();
      from = to;
    }
    drawing.text({scale(from) + 5, y + 12}, short_number(sum(bars[row])), "small muted");
  }
  return drawing.image(title + ": one bar per row, divided by phase, in " + unit);
}

std::string histogram_text(const record::Histogram& histogram) {
  static const std::array<const char*, 9> blocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string bars;
  for (std::size_t bin = 0; bin < histogram.counts.size(); ++bin)
    // Rounded up, so that a single unit is visible.
    bars += blocks.at(static_cast<std::size_t>(std::ceil(8 * height_of(histogram, bin))));
  return fmt::format("{:.3g} {} {:.3g}  mean {:.4g}, sd {:.3g}, {:.4g} to {:.4g}", histogram.from, bars, histogram.to,
                     histogram.mean, histogram.sd, histogram.min, histogram.max);
}

std::string histogram_picture(const std::vector<HistogramPanel>& panels, const std::string& axis) {
  constexpr double width = 480, panel_height = 132, bars = 70;
  Drawing drawing(width, panel_height * static_cast<double>(panels.size()) + 24);
  double top = 36;
  for (const auto& [title, histogram] : panels) {
    const double bottom = top + bars, step = (width - 32) / static_cast<double>(histogram.counts.size());
    drawing.text({16, top - 12}, fmt::format("{}: mean {:.4g}, sd {:.3g}", title, histogram.mean, histogram.sd),
                 "strong");
    const Scale x{histogram.from, histogram.to > histogram.from ? histogram.to : histogram.from + 1, 16, width - 16};
    axes(drawing, {16, top, width - 16, bottom}, x, {0, 1, bottom, top}, ticks(x.low, x.high, 5), {}, axis, "");
    for (std::size_t bin = 0; bin < histogram.counts.size(); ++bin) {
      const double height = bars * height_of(histogram, bin);
      drawing.rectangle({16 + static_cast<double>(bin) * step, bottom - height}, step - 1, height, "cell a1");
    }
    top += panel_height;
  }
  return drawing.image("A panel for each layer: how many units have a " + axis + " in each bin.");
}

std::string response_picture(const std::vector<DeviceResponse>& devices) {
  const std::size_t across = std::clamp<std::size_t>(devices.size(), 2, 3);
  const std::size_t down = (devices.size() + across - 1) / across;
  Drawing all(32 + static_cast<double>(across) * panel_width, 92 + static_cast<double>(down) * panel_height);
  all.text({20, 34}, "Weights of analog devices under pulses", "heading");
  all.rectangle({20, 52}, 30, 14, "band a2");  // what the lines are, with a sample of each
  all.line({20, 59}, {50, 59}, "line a2");
  all.text({58, 63}, "mean and standard deviation of the weights", "small");
  all.line({365, 59}, {395, 59}, "over broken");
  all.text({403, 63}, "mean of their closed forms, without noise", "small");
  for (std::size_t i = 0; i < devices.size(); ++i)
    all.place(panel(devices[i]), {16 + static_cast<double>(i % across) * panel_width,
                                  84 + static_cast<double>(i / across) * panel_height});
  return all.image(
      "A panel for each device: pulses up, then down; mean over many devices as a line, one standard deviation as a "
      "band, the mean of their closed forms, without noise, as a dashed line.");
}

}  // namespace grapes::plot
