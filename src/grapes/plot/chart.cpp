#include "grapes/plot/chart.h"

#include "grapes/base/text.h"
#include "grapes/plot/format.h"

#include <fmt/format.h>

#include <cmath>

namespace grapes::plot {
namespace {

struct Slot {
  const char* light;
  const char* dark;
  const char* dash;  ///< controls are broken lines, so that color is not the only mark
};
/// After Okabe and Ito's palette for all kinds of color vision, darkened or lightened to 3 : 1 on the page.
constexpr Slot slots[color_slots] = {{"#5c6470", "#b3bac6", "none"}, {"#a3307c", "#ec8fcb", "none"},
                                     {"#0068a8", "#62b6f0", "none"}, {"#b86e00", "#f2ab3c", "7 3"},
                                     {"#007d63", "#35c7a2", "2 3"},  {"#c2410c", "#ff8f66", "9 3 2 3"},
                                     {"#2a8fc4", "#9bd6f7", "5 2"},  {"#75661a", "#d3c163", "3 2"}};

/// Label heights that keep their order and a distance, as near as may be to where their lines end.
std::vector<double> spread_labels(std::vector<double> at, double gap, double top, double bottom) {
  std::vector<std::size_t> order(at.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return at[a] < at[b]; });
  double next = top, last = bottom;
  for (const std::size_t i : order) next = (at[i] = std::max(next, at[i])) + gap;
  for (auto i = order.rbegin(); i != order.rend(); ++i) last = (at[*i] = std::min(last, at[*i])) - gap;
  return at;
}

}  // namespace

std::string plot_style() {
  std::string light, dark, classes;
  for (std::size_t i = 0; i < color_slots; ++i) {
    light += fmt::format("--arm-{}:{};", i, slots[i].light);
    dark += fmt::format("--arm-{}:{};", i, slots[i].dark);
    classes += fmt::format(".a{0}{{--arm:var(--arm-{0})}}.line.a{0}{{stroke-dasharray:{1}}}", i, slots[i].dash);
  }
  return ":root{color-scheme:light dark;--text:#1c2026;--muted:#5d6571;--hair:#e3e6ea;--rule:#8b94a1;--card:#ffffff;" +
         light + "}@media(prefers-color-scheme:dark){:root{--text:#e8eaee;--muted:#a3abb8;--hair:#2c323b;" +
         "--rule:#717b89;--card:#171b21;" + dark + "}}" + classes + R"css(
svg text{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--text);font-variant-numeric:tabular-nums}
svg .small{font-size:12px}svg .muted{fill:var(--muted)}svg .strong{font-weight:600}svg .heading{font-size:17px;font-weight:650}
svg .middle{text-anchor:middle}svg .end{text-anchor:end}svg .faint{opacity:.75}
.grid,.box{stroke:var(--hair);stroke-width:1;fill:none}.axis{stroke:var(--rule);stroke-width:1}
.reference{stroke:var(--rule);stroke-width:1;stroke-dasharray:3 3}
.leader{stroke:var(--arm);stroke-width:1;opacity:.45;fill:none}
.line{fill:none;stroke:var(--arm);stroke-width:2;stroke-linejoin:round}.trace{fill:none;stroke:var(--arm);stroke-width:1.2;opacity:.7}
.band{fill:var(--arm);fill-opacity:.1}.dot,.cell{fill:var(--arm)}.seed{fill:var(--arm);fill-opacity:.5}
.interval{stroke:var(--arm);stroke-width:2}.mean{fill:var(--card);stroke:var(--arm);stroke-width:2.5}
.ring{fill:none;stroke:var(--arm);stroke-width:1.8}.over{fill:none;stroke:var(--text);stroke-width:1.4}
.broken{stroke-dasharray:4 4}.card{fill:var(--card);stroke:var(--hair)}
)css";
}

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

void draw(Drawing& drawing, const Series& series, const Scale& x, const Scale& y) {
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

Drawing line_chart(const Chart& chart) {
  Extent across, up;
  bool log_y = chart.logarithmic_y;
  for (const Series& series : chart.series)
    for (const double at : series.curve.x) across.add(at);
  const double settled = chart.from_the_start ? across.low : std::max(across.low, 0.02 * across.high);
  for (const auto& [name, color, c, marked, dots] : chart.series)
    for (std::size_t i = 0; i < c.x.size(); ++i) {
      log_y = log_y && c.mean[i] > 0;
      if (c.x[i] < settled) continue;
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
  const Frame frame{50, 28, chart.width - (chart.labels ? 124 : 12), chart.height - 42};
  const Scale x{across.low, across.high, frame.left + 6, frame.right - 4, log_x};
  const Scale y{up.low, up.high, frame.bottom, frame.top, log_y};
  axes(drawing, frame, x, y,
       chart.x_ticks.empty() ? whole(ticks(across.low, across.high, chart.width > 400 ? 8 : 5)) : chart.x_ticks,
       ticks(up.low, up.high, 5, log_y), chart.x_label, chart.y_label);
  std::vector<double> ends;
  for (const Series& series : chart.series) {
    const Curve& c = series.curve;
    draw(lines, series, x, y);
    ends.push_back(std::clamp(y(c.mean.back()), frame.top, frame.bottom));
    for (std::size_t i = 0; i < c.x.size(); ++i)  // what lies below the picture leaves a mark at its edge
      if (const double at = x(c.x[i]), edge = frame.bottom; c.mean[i] < chart.floor)
        lines.polygon({{at - 4, edge - 8}, {at + 4, edge - 8}, {at, edge - 1}}, "dot " + series.color);
  }
  drawing.cut(lines, {frame.left, frame.top - 2}, frame.right - frame.left + 4, frame.bottom - frame.top + 4);
  if (!chart.labels) return drawing;
  const double right = frame.right;
  const auto at = spread_labels(ends, 15, frame.top, frame.bottom);
  for (std::size_t i = 0; i < at.size(); ++i) {
    const Series& series = chart.series[i];
    drawing.polyline({{x(series.curve.x.back()) + 2, ends[i]}, {right + 1, ends[i]}, {right + 10, at[i]}},
                     "leader " + series.color);
    drawing.line({right + 10, at[i]}, {right + 26, at[i]}, "line " + series.color);
    drawing.text({right + 31, at[i] + 4}, shortened(series.name, 14), "small");
  }
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

std::string Drawing::element(const std::string& label, const std::string& css) const {
  return fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>)"
      "\n",
      coordinate(width_), coordinate(height_), escape(label), css.empty() ? "" : "<style>" + css + "</style>", body_);
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
