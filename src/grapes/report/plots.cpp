#include "grapes/report/plots.h"

#include "grapes/base/text.h"
#include "grapes/report/format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

namespace grapes::report {
using record::Json;
using svg::Drawing;
using svg::Point;
using svg::Scale;
namespace {

struct Slot {
  const char* light;
  const char* dark;
  const char* dash;  ///< controls are broken lines, so that color is not the only mark
};
/// After Okabe and Ito's palette for all kinds of color vision, darkened or lightened to 3 : 1 on the page.
constexpr std::array<Slot, 8> slots = {{{"#5c6470", "#b3bac6", ""},
                                        {"#a3307c", "#ec8fcb", ""},
                                        {"#0068a8", "#62b6f0", ""},
                                        {"#b86e00", "#f2ab3c", "7 3"},
                                        {"#007d63", "#35c7a2", "2 3"},
                                        {"#c2410c", "#ff8f66", "9 3 2 3"},
                                        {"#2a8fc4", "#9bd6f7", "5 2"},
                                        {"#75661a", "#d3c163", "3 2"}}};
const std::vector<std::string> known = {"bp", "grapes", "grapes-local", "uniform", "shuffled", "constant"};

const std::string axis_text = "class=\"small muted\"";

std::string shortened(const std::string& name, std::size_t most) {
  return name.size() <= most ? name : name.substr(0, most - 1) + "…";
}

struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  /// Never empty, and with some air at both ends.
  Extent padded(double share) const {
    if (!(low <= high) || (low == 0 && high == 0)) return {0, 1};
    const double air = high > low ? share * (high - low) : std::max(1e-6, 0.02 * std::abs(high));
    return {low - air, high + air};
  }
};

/// Label heights that keep their order and a distance, as near as may be to where their lines end.
std::vector<double> spread_labels(const std::vector<double>& wanted, double gap, double top, double bottom) {
  std::vector<std::size_t> order(wanted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  std::vector<double> at(wanted.size());
  double next = top;
  for (const std::size_t i : order) {
    at[i] = std::max(next, wanted[i]);
    next = at[i] + gap;
  }
  double last = bottom;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    at[*i] = std::min(last, at[*i]);
    last = at[*i] - gap;
  }
  return at;
}

std::vector<double> whole(std::vector<double> ticks) {
  std::erase_if(ticks, [](double tick) { return std::abs(tick - std::round(tick)) > 1e-9; });
  return ticks;
}

void draw(Drawing& drawing, const Series& series, const Scale& x, const Scale& y, const Styles& styles) {
  const Curve& c = series.curve;
  std::vector<Point> middle, band;
  for (std::size_t i = 0; i < c.epoch.size(); ++i) middle.emplace_back(x(c.epoch[i]), y(c.mean[i]));
  const double floor = y.logarithmic ? y.low : -std::numeric_limits<double>::infinity();
  if (std::any_of(c.sd.begin(), c.sd.end(), [](double sd) { return sd > 0; })) {
    for (std::size_t i = 0; i < c.epoch.size(); ++i) band.emplace_back(x(c.epoch[i]), y(c.mean[i] + c.sd[i]));
    for (std::size_t i = c.epoch.size(); i-- > 0;)
      band.emplace_back(x(c.epoch[i]), y(std::max(floor, c.mean[i] - c.sd[i])));
    drawing.polygon(band, styles.attributes(series.arm, "band"));
  }
  drawing.polyline(middle, styles.attributes(series.arm, "line"));
  if (series.dots || middle.size() == 1)
    for (const Point& point : middle) drawing.circle(point, 2.6, styles.attributes(series.arm, "dot"));
  for (const auto& [px, py] : series.marked) drawing.circle({x(px), y(py)}, 6.5, styles.attributes(series.arm, "ring"));
}

}  // namespace

void axes(Drawing& drawing, const Frame& frame, const Scale& x, const Scale& y, const std::vector<double>& x_ticks,
          const std::vector<double>& y_ticks, const std::string& x_label, const std::string& y_label) {
  for (const double tick : y_ticks) {
    drawing.line({frame.left, y(tick)}, {frame.right, y(tick)}, "class=\"grid\"");
    drawing.text({frame.left - 7, y(tick) + 4}, svg::tick_label(tick, y_ticks),
                 "class=\"small muted\" text-anchor=\"end\"");
  }
  drawing.line({frame.left, frame.bottom}, {frame.right, frame.bottom}, "class=\"axis\"");
  for (const double tick : x_ticks) {
    drawing.line({x(tick), frame.bottom}, {x(tick), frame.bottom + 4}, "class=\"axis\"");
    drawing.text({x(tick), frame.bottom + 17}, svg::tick_label(tick, x_ticks),
                 "class=\"small muted\" text-anchor=\"middle\"");
  }
  drawing.text({(frame.left + frame.right) / 2, frame.bottom + 35}, x_label,
               "class=\"small muted\" text-anchor=\"middle\"");
  drawing.text({2, frame.top - 12}, y_label, axis_text);
}

std::string plot_style() {
  std::string light, dark, classes;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const std::string n = std::to_string(i);
    light += "--arm-" + n + ":" + slots[i].light + ";";
    dark += "--arm-" + n + ":" + slots[i].dark + ";";
    classes += ".a" + n + "{--arm:var(--arm-" + n + ")}";
  }
  return ":root{color-scheme:light dark;--text:#1c2026;--muted:#5d6571;--hair:#e3e6ea;--rule:#8b94a1;--card:#ffffff;" +
         light + "}@media(prefers-color-scheme:dark){:root{--text:#e8eaee;--muted:#a3abb8;--hair:#2c323b;" +
         "--rule:#717b89;--card:#171b21;" + dark + "}}" + classes +
         "svg text{font-family:system-ui,-apple-system,\"Segoe UI\",sans-serif;font-size:13px;fill:var(--text);"
         "font-variant-numeric:tabular-nums}"
         "svg .small{font-size:12px}svg .muted{fill:var(--muted)}svg .strong{font-weight:600}svg "
         ".heading{font-size:17px;"
         "font-weight:650}"
         ".grid{stroke:var(--hair);stroke-width:1}.axis{stroke:var(--rule);stroke-width:1}"
         ".reference{stroke:var(--rule);stroke-width:1;stroke-dasharray:3 3}.leader{stroke:var(--arm);stroke-width:1;"
         "opacity:.45;fill:none}"
         ".line{fill:none;stroke:var(--arm);stroke-width:2;stroke-linejoin:round}"
         ".band{fill:var(--arm);fill-opacity:.1;stroke:none}.dot{fill:var(--arm);stroke:none}"
         ".seed{fill:var(--arm);fill-opacity:.5;stroke:none}.interval{stroke:var(--arm);stroke-width:2}"
         ".mean{fill:var(--card);stroke:var(--arm);stroke-width:2.5}.ring{fill:none;stroke:var(--arm);stroke-width:1.8}"
         ".cell{fill:var(--arm)}.over{fill:none;stroke:var(--text);stroke-width:1.4}.card{fill:var(--card)}";
}

Styles::Styles(const std::vector<std::string>& arms) {
  std::set<std::size_t> taken;
  for (const std::string& arm : arms)
    if (const auto at = std::find(known.begin(), known.end(), family(arm));
        at != known.end() && !taken.contains(static_cast<std::size_t>(at - known.begin()))) {
      slots_[arm] = static_cast<std::size_t>(at - known.begin());
      taken.insert(slots_[arm]);
    }
  std::size_t next = 0;
  for (const std::string& arm : arms) {
    if (slots_.contains(arm)) continue;
    while (taken.size() < slots.size() && taken.contains((next + 6) % slots.size())) ++next;
    slots_[arm] = (next++ + 6) % slots.size();
    taken.insert(slots_[arm]);
  }
}

std::string Styles::attributes(const std::string& arm, const std::string& kind) const {
  const std::size_t slot = slots_.at(arm);
  std::string text = "class=\"" + kind + " a" + std::to_string(slot) + "\"";
  if (kind == "line" && *slots[slot].dash != '\0')
    text += " stroke-dasharray=\"" + std::string(slots[slot].dash) + "\"";
  return text;
}

Drawing line_chart(const Chart& chart, const Styles& styles) {
  Extent across, all;
  for (const Series& series : chart.series)
    for (const double e : series.curve.epoch) across.add(e);
  const double settled = chart.from_the_start ? across.low : std::max(across.low, 0.02 * across.high);
  bool positive = true;
  for (const Series& series : chart.series)
    for (std::size_t i = 0; i < series.curve.epoch.size(); ++i) {
      positive = positive && series.curve.mean[i] > 0;
      if (series.curve.epoch[i] < settled) continue;
      all.add(series.curve.mean[i]);
      if (chart.logarithmic_y) continue;
      all.add(series.curve.mean[i] - series.curve.sd[i]);
      all.add(series.curve.mean[i] + series.curve.sd[i]);
    }
  const bool log_y = chart.logarithmic_y && positive && all.low <= all.high;
  const Extent up = log_y ? Extent{all.low / 1.15, all.high * 1.15} : all.padded(0.05);
  const bool log_x = chart.logarithmic_x && across.low > 0;
  const Extent over = log_x                       ? Extent{across.low / 1.12, across.high * 1.12}
                      : across.high > across.low  ? across
                      : across.low <= across.high ? Extent{across.low - 1, across.high + 1}
                                                  : Extent{0, 1};
  Drawing drawing(chart.width, chart.height);
  const Frame frame{50, 28, chart.width - (chart.labels ? 124 : 12), chart.height - 42};
  const Scale x{over.low, over.high, frame.left + 6, frame.right - 4, log_x};
  const Scale y{up.low, up.high, frame.bottom, frame.top, log_y};
  const auto y_ticks = svg::ticks(up.low, up.high, 5, log_y);
  const auto x_ticks = !chart.x_ticks.empty() ? chart.x_ticks
                       : log_x                ? svg::ticks(over.low, over.high, 5, true)
                                              : whole(svg::ticks(over.low, over.high, chart.width > 400 ? 8 : 5));
  axes(drawing, frame, x, y, x_ticks, y_ticks, chart.x_label, chart.y_label);
  drawing.clip(chart.id + "-clip", {frame.left, frame.top - 2}, frame.right - frame.left + 4,
               frame.bottom - frame.top + 4);
  drawing.open("clip-path=\"url(#" + chart.id + "-clip)\"");
  for (const Series& series : chart.series) draw(drawing, series, x, y, styles);
  drawing.close();
  if (!chart.labels) return drawing;
  std::vector<const Series*> named;
  std::vector<double> ends;
  for (const Series& series : chart.series)
    if (!series.curve.mean.empty()) {
      named.push_back(&series);
      ends.push_back(std::clamp(y(series.curve.mean.back()), frame.top, frame.bottom));
    }
  const auto at = spread_labels(ends, 15, frame.top, frame.bottom);
  for (std::size_t i = 0; i < named.size(); ++i) {
    drawing.polyline(
        {{x(named[i]->curve.epoch.back()) + 2, ends[i]}, {frame.right + 1, ends[i]}, {frame.right + 10, at[i]}},
        styles.attributes(named[i]->arm, "leader"));
    drawing.line({frame.right + 10, at[i]}, {frame.right + 26, at[i]}, styles.attributes(named[i]->arm, "line"));
    drawing.text({frame.right + 31, at[i] + 4}, shortened(named[i]->arm, 14), "class=\"small\"");
  }
  return drawing;
}

Drawing dot_plot(const Json& summary, const Styles& styles) {
  const Unit unit = unit_of(summary["score"]);
  const Json& arms = summary["arms"];
  const double row = 36;
  Extent scores;
  for (const Json& arm : arms)
    for (const double score : arm["scores"]) scores.add(unit.factor * score);
  const Extent reach = scores.padded(0.35);  // an interval of two seeds is wide: it may leave the picture
  Extent all = scores;
  for (const Json& arm : arms)
    if (!arm["interval"].is_null())
      for (const double end : arm["interval"]) all.add(std::clamp(unit.factor * end, reach.low, reach.high));
  const Extent shown = all.padded(0.06);
  Drawing drawing(460, 74 + row * static_cast<double>(arms.size()));
  std::size_t most = 13;  // characters of a name; longer ones take room from the plot
  for (const Json& arm : arms) most = std::clamp<std::size_t>(arm["arm"].get<std::string>().size(), most, 25);
  const Frame frame{14 + 7.6 * static_cast<double>(most), 28, 350, drawing.height() - 42};
  const Scale x{shown.low, shown.high, frame.left, frame.right};
  const auto ticks = svg::ticks(shown.low, shown.high, 4);
  for (const double tick : ticks) drawing.line({x(tick), frame.top}, {x(tick), frame.bottom}, "class=\"grid\"");
  axes(drawing, frame, x, {0, 1, frame.bottom, frame.top}, ticks, {},
       summary["part"].get<std::string>() + " " + score_name(summary["score"]) + (unit.suffix.empty() ? "" : ", %"),
       "");
  const double base = x(unit.factor * arms[0]["mean"].get<double>());
  if (arms.size() > 1) drawing.line({base, frame.top}, {base, frame.bottom}, "class=\"reference\"");
  drawing.text({drawing.width() - 2, frame.top - 12}, "mean ± sd", "class=\"small muted\" text-anchor=\"end\"");
  for (std::size_t i = 0; i < arms.size(); ++i) {
    const Json& arm = arms[i];
    const std::string name = arm["arm"];
    const double y = frame.top + row * (static_cast<double>(i) + 0.5);
    drawing.text({frame.left - 10, y + 4}, shortened(name, most), "text-anchor=\"end\"");
    if (!arm["interval"].is_null()) {
      const double low = unit.factor * arm["interval"][0].get<double>();
      const double high = unit.factor * arm["interval"][1].get<double>();
      drawing.line({x(std::max(low, shown.low)), y}, {x(std::min(high, shown.high)), y},
                   styles.attributes(name, "interval"));
      for (const double end : {low, high})
        if (end >= shown.low && end <= shown.high)
          drawing.line({x(end), y - 5}, {x(end), y + 5}, styles.attributes(name, "interval"));
    }
    drawing.circle({x(unit.factor * arm["mean"].get<double>()), y}, 4.6, styles.attributes(name, "mean"));
    const Json& seeds = arm["scores"];
    for (std::size_t s = 0; s < seeds.size(); ++s)  // beside the line, so that no dot hides another
      drawing.circle({x(unit.factor * seeds[s].get<double>()), y + 10 + static_cast<double>(s % 2) * 3.5}, 2.4,
                     styles.attributes(name, "seed"));
    std::string value = unit.number(arm["mean"]);
    if (arm["n"] > 1) value += " ± " + unit.number(arm["sd"]);
    drawing.text({drawing.width() - 2, y + 4}, value, "class=\"small\" text-anchor=\"end\"");
  }
  return drawing;
}

Drawing tuning_chart(const std::string& id, const Json& tuning, const std::vector<std::string>& arms,
                     const std::string& score, const Styles& styles) {
  const Unit unit = unit_of(score);
  Chart chart;
  chart.id = id;
  chart.x_label = "learning rate (logarithmic)";
  chart.y_label = "validation " + score_name(score) + (unit.suffix.empty() ? "" : ", %");
  chart.logarithmic_x = true;
  chart.from_the_start = true;
  for (const double rate : tuning["grid"]) chart.x_ticks.push_back(rate);
  for (const std::string& arm : arms) {
    const auto found = tuning["arms"].find(arm);
    if (found == tuning["arms"].end()) continue;
    std::map<double, double> tried;
    for (const Json& one : (*found)["tried"])
      if (const auto value = number(one, "validation_mean"))
        tried[one["learning_rate"].get<double>()] = unit.factor * *value;
    Series series{arm, {}, {}, true};
    for (const auto& [rate, value] : tried) {
      series.curve.epoch.push_back(rate);
      series.curve.mean.push_back(value);
      series.curve.sd.push_back(0);
    }
    if (const auto chosen = tried.find((*found)["chosen"].get<double>()); chosen != tried.end())
      series.marked.emplace_back(chosen->first, chosen->second);
    if (!tried.empty()) chart.series.push_back(std::move(series));
  }
  return line_chart(chart, styles);
}

std::optional<double> lowest_factor(const std::vector<Arm>& arms) {
  std::optional<double> low;
  for (const Arm& arm : arms)
    for (const record::Run* run : arm.runs)
      for (const Json& row : run->epochs)
        for (const Json& layer : row.value("layers", Json::array()))
          if (const auto least = layer.contains("factor") ? number(layer["factor"], "min") : std::nullopt)
            low = std::min(low.value_or(2), *least);
  if (low) *low = std::clamp(std::floor(*low * 10 - 1e-9) / 10, 0.0, 1.8);
  return low;
}

Drawing factor_strip(const Arm& arm, const std::string& layer, double low, const Styles& styles) {
  std::map<double, std::vector<double>> counts;  // by epoch, over all runs
  for (const record::Run* run : arm.runs)
    for (const Json& row : run->epochs) {
      const Json& entry = layer_of(row, layer);
      if (!entry.contains("factor") || !entry["factor"].contains("histogram")) continue;
      const auto histogram = entry["factor"]["histogram"].get<std::vector<double>>();
      auto& sum = counts[row["epoch"]];
      sum.resize(std::max(sum.size(), histogram.size()));
      for (std::size_t bin = 0; bin < histogram.size(); ++bin) sum[bin] += histogram[bin];
    }
  const Curve center = curve(arm, "factor.mean", layer);
  Extent epochs;
  for (const double e : center.epoch) epochs.add(e);
  if (epochs.high <= epochs.low) epochs = {epochs.low - 0.5, epochs.low + 0.5};
  Drawing drawing(300, 190);
  const Frame frame{34, 24, 292, 148};
  const double step = std::max(1.0, std::ceil((epochs.high - epochs.low + 1) / 40));
  const Scale x{epochs.low, epochs.high + step, frame.left, frame.right};
  const Scale y{low, 2, frame.bottom, frame.top};
  const auto x_ticks = whole(svg::ticks(epochs.low, epochs.high, 5));
  axes(drawing, frame, {epochs.low - step / 2, epochs.high + step / 2, frame.left, frame.right}, y, x_ticks,
       svg::ticks(low, 2, 4), "epoch", "factor");
  double most = 0;  // the largest share of one cell: it gets the full color, so that a wide strip is seen as well
  for (const auto& [epoch, bins] : counts) {
    const double total = std::accumulate(bins.begin(), bins.end(), 0.0);
    if (total > 0) most = std::max(most, *std::max_element(bins.begin(), bins.end()) / total);
  }
  drawing.open(styles.attributes(arm.name, "cells"));
  for (std::int64_t column = 0; epochs.low + static_cast<double>(column) * step <= epochs.high; ++column) {
    const double first = epochs.low + static_cast<double>(column) * step;
    const auto at = counts.lower_bound(first);  // one epoch stands for its column
    if (at == counts.end() || at->first >= first + step) continue;
    const double total = std::accumulate(at->second.begin(), at->second.end(), 0.0);
    for (std::size_t bin = 0; bin < at->second.size(); ++bin) {
      const double upper = 0.1 * static_cast<double>(bin + 1);
      if (at->second[bin] == 0 || upper < low + 0.05) continue;
      drawing.rectangle(
          {x(first), y(upper)}, x(first + step) - x(first) - 0.6, y(upper - 0.1) - y(upper) - 0.6,
          "class=\"cell\" opacity=\"" + svg::coordinate(std::max(0.04, 0.85 * at->second[bin] / total / most)) + "\"");
    }
  }
  drawing.close();
  std::vector<Point> line;
  for (std::size_t i = 0; i < center.epoch.size(); ++i)
    line.emplace_back(x(center.epoch[i] + step / 2), y(std::max(low, center.mean[i])));
  drawing.polyline(line, "class=\"over\"");
  return drawing;
}

}  // namespace grapes::report
