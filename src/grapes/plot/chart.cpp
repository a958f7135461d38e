#include "grapes/plot/chart.h"

#include "grapes/base/text.h"
#include "grapes/plot/format.h"

#include <fmt/format.h>

#include <cmath>

namespace grapes::plot {

Extent Extent::padded(double share) const {
  if (!(low <= high) || (low == 0 && high == 0)) return {0, 1};
  const double size = std::max(std::abs(low), std::abs(high));
  const bool apart = high - low > 1e-9 * size;  // not by rounding alone
  const double air = apart ? share * (high - low) : std::max(1e-6, 0.02 * size);
  return {low - air, high + air};
}

void axes(Drawing& drawing, const Frame& frame, const Scale& x, const Scale& y, const std::vector<double>& x_ticks,
          const std::vector<double>& y_ticks, const std::string& x_label, const std::string& y_label) {
  for (const double tick : y_ticks) {
    drawing.line({frame.left, y(tick)}, {frame.right, y(tick)}, "grid");
    drawing.text({frame.left - 7, y(tick) + 4}, tick_label(tick, y_ticks), "small muted end");
  }
  drawing.line({frame.left, frame.bottom}, {frame.right, frame.bottom}, "axis");
  double free = -std::numeric_limits<double>::infinity();  // labels do not overlap: the next one begins here or later
  for (const double tick : x_ticks) {
    if (y_ticks.empty()) drawing.line({x(tick), frame.top}, {x(tick), frame.bottom}, "grid");
    const std::string label = tick_label(tick, x_ticks);
    const double half = 3.6 * static_cast<double>(label.size());
    drawing.line({x(tick), frame.bottom}, {x(tick), frame.bottom + 4}, "axis");
    if (x(tick) - half < free) continue;
    drawing.text({x(tick), frame.bottom + 17}, label, "small muted middle");
    free = x(tick) + half;
  }
  drawing.text({(frame.left + frame.right) / 2, frame.bottom + 35}, x_label, "small muted middle");
  if (!y_label.empty()) drawing.text({2, frame.top - 12}, y_label, "small muted");
}

/// Draws a line with its band and its marks.
static void draw(Drawing& drawing, const Series& series, const Scale& x, const Scale& y) {
  const Curve& c = series.curve;
  std::vector<Point> middle, band;
  for (std::size_t i = 0; i < c.x.size(); ++i) {
    middle.emplace_back(x(c.x[i]), y(c.mean[i]));
    band.emplace_back(x(c.x[i]), y(c.high[i]));
  }
  for (std::size_t i = c.x.size(); i-- > 0;)
    band.emplace_back(x(c.x[i]), y(y.logarithmic ? std::max(y.low, c.low[i]) : c.low[i]));
  if (c.low != c.high) drawing.polygon(band, "band " + series.color);
  drawing.polyline(middle, "line " + series.color);
  if (series.dots || middle.size() == 1)
    for (const Point& point : middle) drawing.circle(point, 2.6, "dot " + series.color);
  for (const auto& [px, py] : series.marked) drawing.circle({x(px), y(py)}, 6.5, "ring " + series.color);
}

Drawing line_chart(Chart chart) {
  std::ranges::stable_sort(chart.series, std::ranges::greater(),
                           [](const Series& one) { return one.curve.mean.back(); });
  Extent across, up;
  bool log_y = chart.logarithmic_y;
  for (const Series& series : chart.series)
    for (const double at : series.curve.x) across.add(at);
  for (const auto& [name, color, c, marked, dots] : chart.series)
    for (std::size_t i = 0; i < c.x.size(); ++i) {
      log_y = log_y && c.mean[i] > 0;
      up.add(c.mean[i]);
      if (chart.logarithmic_y) continue;
      up.add(c.low[i]);
      up.add(c.high[i]);
    }
  up.low = std::max(up.low, chart.floor);
  up = log_y && up.low <= up.high ? Extent{up.low / 1.15, up.high * 1.15} : up.padded(0.05);
  const bool log_x = chart.logarithmic_x && across.low > 0;
  if (log_x)
    across = {across.low / 1.12, across.high * 1.12};
  else if (!(across.low < across.high))
    across = across.low == across.high ? Extent{across.low - 1, across.high + 1} : Extent{0, 1};
  Drawing drawing(chart.width, chart.height), lines = drawing;
  const Frame frame{50, 28, chart.width - (chart.legend ? 124 : 12), chart.height - 42};
  const Scale x{across.low, across.high, frame.left + 6, frame.right - 4, log_x};
  const Scale y{up.low, up.high, frame.bottom, frame.top, log_y};
  axes(drawing, frame, x, y,
       chart.x_ticks.empty() ? whole(ticks(across.low, across.high, chart.width > 400 ? 8 : 5)) : chart.x_ticks,
       ticks(up.low, up.high, 5, log_y), chart.x_label, chart.y_label);
  double row = frame.top - 8;  // of the legend
  for (const Series& series : chart.series) {
    const Curve& c = series.curve;
    draw(lines, series, x, y);
    for (std::size_t i = 0; i < c.x.size(); ++i)  // what lies below the picture leaves a mark at its edge
      if (const double at = x(c.x[i]), edge = frame.bottom; c.mean[i] < chart.floor)
        lines.polygon({{at - 4, edge - 8}, {at + 4, edge - 8}, {at, edge - 1}}, "dot " + series.color);
    if (!chart.legend) continue;
    row += 15;
    drawing.line({frame.right + 10, row}, {frame.right + 26, row}, "line " + series.color);
    drawing.text({frame.right + 31, row + 4}, shortened(series.name, 14), "small");
  }
  drawing.cut(lines, {frame.left, frame.top - 2}, frame.right - frame.left + 4, frame.bottom - frame.top + 4);
  return drawing;
}

std::string escape(const std::string& text) {
  std::string result;
  for (const char c : text)
    result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
  return result;
}

std::string coordinate(double value) {
  const double rounded = std::round(value * 100) / 100;
  return rounded == 0 ? "0" : shortest(rounded);
}

std::string coordinates(const std::vector<Point>& points) {
  std::string text;
  for (const auto& [x, y] : points) text += (text.empty() ? "" : " ") + coordinate(x) + "," + coordinate(y);
  return text;
}

std::string Drawing::element(const std::string& label) const {
  return fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>)"
      "\n",
      coordinate(width_), coordinate(height_), escape(label), body_);
}

std::string Drawing::image(const std::string& label) const {
  Drawing card(width_, height_);
  card.add("<style>{}</style>", std::string(plot_style));
  card.add(R"(<rect x="0.5" y="0.5" width="{}" height="{}" class="card" rx="10"/>)", width_ - 1, height_ - 1);
  card.body_ += body_;
  return card.element(label);
}

double Scale::operator()(double value) const {
  const double share =
      logarithmic ? (std::log(value) - std::log(low)) / (std::log(high) - std::log(low)) : (value - low) / (high - low);
  return from + share * (to - from);
}

std::vector<double> ticks(double low, double high, int count, bool logarithmic) {
  std::vector<double> result;
  if (logarithmic) {
    for (int power = static_cast<int>(std::floor(std::log10(low))); std::pow(10, power) <= high; ++power)
      for (const double digit : {1.0, 2.0, 5.0})
        if (const double tick = digit * std::pow(10, power); tick >= low && tick <= high) result.push_back(tick);
    if (result.size() >= 2) return result;
    result.clear();
  }
  const double raw = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double digit : {5.0, 2.0, 1.0})
    if (1.2 * digit * power >= raw) step = digit * power;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i) result.push_back(i * step);
  return result;
}

std::vector<double> whole(std::vector<double> ticks) {
  std::erase_if(ticks, [](double tick) { return std::abs(tick - std::round(tick)) > 1e-9; });
  return ticks;
}

std::string tick_label(double value, const std::vector<double>& ticks) {
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 0;
  bool even = step > 0;
  for (std::size_t i = 1; i < ticks.size(); ++i) even = even && std::abs(ticks[i] - ticks[i - 1] - step) < 0.01 * step;
  if (!even) {
    const double digits = std::pow(10, 3 - std::floor(std::log10(std::max(1e-12, std::abs(value)))));
    return shortest(std::round(value * digits) / digits);
  }
  int decimals = 0;
  for (double part = step; decimals < 12 && std::abs(part - std::round(part)) > 1e-6 * part; part *= 10) ++decimals;
  return fixed(value, decimals);
}

}  // namespace grapes::plot
