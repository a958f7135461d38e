#include "grapes/cli/histogram.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace grapes::cli {
namespace {

constexpr std::size_t steps = 20;

std::int64_t tallest(const Histogram& histogram) {
  return std::max<std::int64_t>(1, *std::max_element(histogram.counts.begin(), histogram.counts.end()));
}

}  // namespace

Histogram histogram(const std::vector<double>& values, double from, double to) {
  Histogram result;
  result.counts.resize(steps);
  if (values.empty()) return result;
  const auto n = static_cast<double>(values.size());
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  result.low = *low;
  result.high = *high;
  result.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  for (const double x : values) result.sd += (x - result.mean) * (x - result.mean) / n;
  result.sd = std::sqrt(result.sd);
  result.from = from == to ? result.low : from;
  result.to = from == to ? result.high : to;
  const double width = result.to > result.from ? (result.to - result.from) / steps : 1;
  for (const double x : values) {
    const double step = std::clamp((x - result.from) / width, 0.0, static_cast<double>(steps - 1));
    ++result.counts[static_cast<std::size_t>(step)];
  }
  return result;
}

std::string histogram_text(const Histogram& histogram) {
  static const std::array<const char*, 9> blocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string bars;
  for (const std::int64_t count : histogram.counts) {
    const double height = 8.0 * static_cast<double>(count) / static_cast<double>(tallest(histogram));
    bars += blocks.at(static_cast<std::size_t>(std::ceil(height)));  // one node is still seen
  }
  return fmt::format("{:.3g} {} {:.3g}  mean {:.4g}, sd {:.3g}, {:.4g} to {:.4g}", histogram.from, bars, histogram.to,
                     histogram.mean, histogram.sd, histogram.low, histogram.high);
}

std::string histogram_svg(const std::vector<Panel>& panels, const std::string& axis) {
  constexpr int width = 480, panel_height = 120, left = 16, top = 28, bar_width = (width - 2 * left) / 20, bars = 70;
  const int height = static_cast<int>(panels.size()) * panel_height + 30;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n",
      width, height);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const Histogram& histogram = panels[i].histogram;
    const int y = static_cast<int>(i) * panel_height + top, foot = y + bars;
    svg += fmt::format("<text x=\"{}\" y=\"{}\">{}: mean {:.4g}, sd {:.3g}</text>\n", left, y - 8, panels[i].title,
                       histogram.mean, histogram.sd);
    for (std::size_t k = 0; k < histogram.counts.size(); ++k) {
      const int bar = static_cast<int>(
          std::lround(bars * static_cast<double>(histogram.counts[k]) / static_cast<double>(tallest(histogram))));
      svg += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"#6b3fa0\"/>\n",
                         left + static_cast<int>(k) * bar_width, foot - bar, bar_width - 1, bar);
    }
    svg += fmt::format("<path d=\"M{} {}H{}\" stroke=\"#444\"/>\n", left, foot, left + 20 * bar_width);
    svg += fmt::format(
        "<text x=\"{}\" y=\"{}\">{:.3g}</text>\n<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.3g}</text>\n", left,
        foot + 14, histogram.from, left + 20 * bar_width, foot + 14, histogram.to);
  }
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n</svg>\n", width / 2, height - 8, axis);
  return svg;
}

}  // namespace grapes::cli
