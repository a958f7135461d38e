#include "grapes/report/plots.h"

#include "grapes/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace grapes::report {
using plot::Frame;
using plot::Scale;
using plot::Series;
using record::Json;

Colors colors_of(const std::vector<std::string>& arms) {
  std::map<std::string, std::size_t> slots;
  std::set<std::size_t> taken;
  for (const std::string& arm : arms)
    if (const std::size_t slot = place_of(arm); slot < plot::color_slots && taken.insert(slot).second)
      slots[arm] = slot;  // the first known arms always have the same color
  std::size_t next = plot::color_slots - 2;
  for (const std::string& arm : arms) {
    if (slots.contains(arm)) continue;
    while (taken.size() < plot::color_slots && taken.contains(next % plot::color_slots)) ++next;
    taken.insert(slots[arm] = next++ % plot::color_slots);
  }
  Colors colors;
  for (const auto& [arm, slot] : slots) colors[arm] = "a" + std::to_string(slot);
  return colors;
}

namespace {

/// Draws the first measure of a sweep, or its differences to the baseline, against the value. Bands are 95 % intervals.
Chart sweep_chart(const Summary& summary, const Colors& colors, bool differences) {
  const Measure& measure = summary.primary();
  const Unit& unit = measure.unit;
  Chart chart{swept_part(summary.swept), differences ? fmt::format("difference to {}{}{}", summary.baseline,
                                                                   unit.difference.empty() ? "" : ",", unit.difference)
                                                     : measure.name + unit.axis()};
  std::map<double, const Condition*> conditions;  // by increasing value
  for (const Condition& condition : summary.conditions) conditions[condition.value.value()] = &condition;
  for (const auto& [value, condition] : conditions) chart.x_ticks.push_back(value);
  for (const std::string& name : summary.arms) {
    Series series{.name = name, .color = colors.at(name), .curve = {}, .dots = true};
    for (const auto& [value, condition] : conditions) {
      const Arm* arm = condition->find(name);
      const Difference* difference = condition->find(name, summary.baseline, measure);
      if (differences ? difference == nullptr || difference->spread.empty() : arm == nullptr) continue;
      const Spread& spread = differences ? difference->spread : (*arm)[measure];
      const std::optional<Interval>& found = differences ? difference->simultaneous : spread.interval;
      const Interval interval = found.value_or(Interval{spread.mean, spread.mean});
      series.curve.add(value, unit.factor * spread.mean, unit.factor * interval.low, unit.factor * interval.high);
    }
    if (!series.curve.x.empty()) chart.series.push_back(std::move(series));
  }
  return chart;
}

/// Draws a row for each arm with every seed as a dot, the mean, and its 95 % interval. A line marks the mean of the
/// first arm.
Drawing dot_plot(const std::vector<Arm>& arms, const Measure& measure, const Colors& colors) {
  const Unit& unit = measure.unit;
  constexpr double row = 36;
  constexpr std::size_t most = 16;  // characters of a name
  plot::Extent values;
  for (const Arm& arm : arms)
    for (const Sample& sample : arm[measure].samples) values.add(unit.factor * sample.value);
  const plot::Extent shown = values.padded(0.35);  // an interval of two seeds is wide: it may leave the picture
  Drawing drawing(460, 74 + row * static_cast<double>(arms.size()));
  const Frame frame{14 + 7.6 * most, 28, 350, drawing.height() - 42};
  const Scale x{shown.low, shown.high, frame.left, frame.right};
  plot::axes(drawing, frame, x, {0, 1, frame.bottom, frame.top}, plot::ticks(shown.low, shown.high, 4), {},
             measure.name + unit.axis(), "");
  const double base = x(unit.factor * arms.front()[measure].mean);
  if (arms.size() > 1) drawing.line({base, frame.top}, {base, frame.bottom}, "reference");
  drawing.text({drawing.width() - 2, frame.top - 12}, "mean ± sd", "small muted end");
  double y = frame.top - row / 2;
  for (const Arm& arm : arms) {
    const Spread& spread = arm[measure];
    const std::string& color = colors.at(arm.name);
    y += row;
    drawing.text({frame.left - 10, y + 4}, shortened(arm.name, most), "end");
    if (spread.empty()) continue;
    if (spread.interval) {
      const std::string style = "interval " + color;
      const double low = unit.factor * spread.interval->low, high = unit.factor * spread.interval->high;
      drawing.line({x(std::max(low, shown.low)), y}, {x(std::min(high, shown.high)), y}, style);
      for (const double end : {low, high})
        if (end >= shown.low && end <= shown.high) drawing.line({x(end), y - 5}, {x(end), y + 5}, style);
    }
    drawing.circle({x(unit.factor * spread.mean), y}, 4.6, "mean " + color);
    for (std::size_t s = 0; s < spread.n(); ++s)  // beside the line, so that no dot hides another
      drawing.circle({x(unit.factor * spread.samples[s].value), y + 10 + static_cast<double>(s % 2) * 3.5}, 2.4,
                     "seed " + color);
    const std::string sd = spread.n() > 1 ? " ± " + unit.number(spread.sd) : "";
    drawing.text({drawing.width() - 2, y + 4}, unit.number(spread.mean) + sd, "small end");
  }
  return drawing;
}

}  // namespace

Chart curve_chart(const std::string& y_label, const Summary& summary, const Condition& condition, const Colors& colors,
                  double factor, const std::function<Points(const record::Run&)>& points) {
  Chart chart{summary.tasks > 0 ? "tasks learned" : "epoch", y_label};
  for (const Arm& arm : condition.arms)
    if (Curve found = curve(arm.runs, factor, points); !found.x.empty())
      chart.series.push_back({arm.name, colors.at(arm.name), std::move(found)});
  return chart;
}

Chart tuning_chart(const Condition& condition, const std::vector<std::string>& arms, const Measure& score,
                   const Colors& colors) {
  const Json& tuning = condition.tuning;
  Chart chart{"learning rate (logarithmic)", "validation " + score.name + score.unit.axis()};
  chart.logarithmic_x = true;
  std::set<double> rates;
  std::vector<double> all;
  for (const std::string& arm : arms) {
    const Json found = tuning["arms"].value(arm, Json::object());
    std::map<double, double> tried;
    for (const Json& one : found.value("tried", Json::array()))
      if (const auto value = number(one, "validation_mean")) tried[one["learning_rate"]] = score.unit.factor * *value;
    if (tried.empty()) continue;
    Series series{.name = arm, .color = colors.at(arm), .curve = {}, .dots = true};
    for (const auto& [rate, value] : tried) {
      rates.insert(rate);
      series.curve.add(rate, value, value, value);
      all.push_back(value);
    }
    if (const auto chosen = tried.find(found["chosen"]); chosen != tried.end()) series.marked.push_back(*chosen);
    chart.series.push_back(std::move(series));
  }
  chart.x_ticks.assign(rates.begin(), rates.end());
  // The chart ends at twice the distance from the best score to the median of all tries.
  std::sort(all.rbegin(), all.rend());
  if (!all.empty()) chart.floor = all.front() - std::max(2 * (all.front() - all[all.size() / 2]), 1e-3 * all.front());
  return chart;
}

std::vector<std::pair<std::string, Drawing>> opening(const Summary& summary, Section section, const Colors& colors) {
  if (!summary.swept.empty())
    return {{"<b>Final scores</b>: means over seeds, bands are 95 % intervals.",
             plot::line_chart(sweep_chart(summary, colors, false))},
            {"<b>Paired differences</b>: means over pairs, bands are simultaneous 95 % intervals.",
             plot::line_chart(sweep_chart(summary, colors, true))}};
  const Condition& condition = section.front();
  const Measure& measure = summary.primary();
  const std::string key = summary.tasks > 0 ? "test_accuracy" : measure.key;
  const Drawing ends = dot_plot(condition.arms, measure, colors);
  Chart progress = curve_chart(measure.name + measure.unit.axis(), summary, condition, colors, measure.unit.factor,
                               [&](const record::Run& run) { return row_points(run, key); });
  bool cut = false;
  progress.floor = std::numeric_limits<double>::infinity();
  for (const auto& [name, color, c, marked, dots] : progress.series)
    for (std::size_t i = 0; i < c.x.size(); ++i)
      if (c.x[i] >= 0.02 * c.x.back())
        progress.floor = std::min(progress.floor, c.low[i]);
      else  // the first fiftieth of the epochs may lie below the picture
        cut = true;
  progress.height = std::max(progress.height, ends.height());
  return {
      {fmt::format("<b>Final scores</b>: {}. Small dots are seeds, the ring is their mean, the bar its 95 % interval. "
                   "The dashed line is the mean of <code>{}</code>.",
                   summary.tasks > 0       ? "average accuracy after the last task"
                   : summary.stopped_early ? "at the epoch that was best on validation data"
                                           : "at the last epoch",
                   plot::escape(condition.arms.front().name)),
       ends},
      {fmt::format("<b>Learning curves</b>: {}means over seeds, bands of one standard deviation.{}",
                   summary.tasks > 0 ? "mean accuracy on the tasks learned so far, " : "",
                   cut ? " A triangle marks a score below the picture." : ""),
       plot::line_chart(progress)}};
}

/// Draws the plots that open the page, in a row for each section.
std::string picture(const Summary& summary) {
  const Colors colors = colors_of(summary.arms);
  const double top = summary.swept.empty() ? 56 : 78;
  Drawing rows(972, 24);
  for (const Section section : summary.sections()) {
    const std::string& title = section.front().title;
    const auto both = opening(summary, section, colors);
    const double y = rows.height() - 24;
    rows.text({20, y + 34}, summary.title + (title.empty() ? "" : ". " + title), "heading");
    rows.text({20, y + 58}, summary.swept, "small muted");
    rows.place(both[0].second, {16, y + top});
    rows.place(both[1].second, {496, y + top});
    rows.grow(top - 12 + std::max(both[0].second.height(), both[1].second.height()));
  }
  return rows.image(summary.title);
}

}  // namespace grapes::report
