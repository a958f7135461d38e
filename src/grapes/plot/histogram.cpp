#include "grapes/plot/histogram.h"

#include "grapes/plot/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace grapes::plot {
namespace {

/// The count as a part of the largest.
double height_of(const record::Histogram& histogram, std::size_t bin) {
  const std::int64_t most = *std::max_element(histogram.counts.begin(), histogram.counts.end());
  return static_cast<double>(histogram.counts[bin]) / static_cast<double>(std::max<std::int64_t>(1, most));
}

}  // namespace

std::string histogram_text(const record::Histogram& histogram) {
  static const std::array<const char*, 9> blocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string bars;
  for (std::size_t bin = 0; bin < histogram.counts.size(); ++bin)
    bars += blocks.at(static_cast<std::size_t>(std::ceil(8 * height_of(histogram, bin))));  // one unit is still seen
  return fmt::format("{:.3g} {} {:.3g}  mean {:.4g}, sd {:.3g}, {:.4g} to {:.4g}", histogram.from, bars, histogram.to,
                     histogram.mean, histogram.sd, histogram.min, histogram.max);
}

std::string histogram_picture(const std::vector<HistogramPanel>& panels, const std::string& axis) {
  constexpr double width = 480, panel_height = 132, bars = 70;
  Drawing drawing(width, panel_height * static_cast<double>(panels.size()) + 24);
  drawing.card("");
  double top = 36;
  for (const auto& [title, histogram] : panels) {
    const double bottom = top + bars, step = (width - 32) / static_cast<double>(histogram.counts.size());
    drawing.text({16, top - 12}, fmt::format("{}: mean {:.4g}, sd {:.3g}", title, histogram.mean, histogram.sd),
                 "strong");
    for (std::size_t bin = 0; bin < histogram.counts.size(); ++bin) {
      const double height = bars * height_of(histogram, bin);
      drawing.rectangle({16 + static_cast<double>(bin) * step, bottom - height}, step - 1, height, "cell a1");
    }
    const Scale x{histogram.from, histogram.to > histogram.from ? histogram.to : histogram.from + 1, 16, width - 16};
    axes(drawing, {16, top, width - 16, bottom}, x, {0, 1, bottom, top}, ticks(x.low, x.high, 5), {}, axis, "");
    top += panel_height;
  }
  return drawing.element("A panel for each layer: how many units have a " + axis + " in each bin.", plot_style());
}

}  // namespace grapes::plot
