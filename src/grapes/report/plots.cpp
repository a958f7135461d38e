#include "grapes/report/plots.h"

#include "grapes/report/arms.h"
#include "grapes/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace grapes::report {
using plot::Frame;
using plot::Point;
using plot::Scale;
using plot::Series;
using record::Json;

Styles::Styles(const std::vector<std::string>& arms) {
  std::set<std::size_t> taken;
  for (const std::string& arm : arms)
    if (const std::size_t slot = place_of(arm); slot < known_arms.size() && taken.insert(slot).second)
      slots_[arm] = slot;
  std::size_t next = known_arms.size();
  for (const std::string& arm : arms) {
    if (slots_.contains(arm)) continue;
    while (taken.size() < plot::color_slots && taken.contains(next % plot::color_slots)) ++next;
    taken.insert(slots_[arm] = next++ % plot::color_slots);
  }
}

Chart curve_chart(const std::string& x_label, const std::string& y_label, const std::vector<Arm>& arms,
                  const Styles& styles, double factor, const std::function<Points(const record::Run&)>& points) {
  Chart chart{x_label, y_label};
  for (const Arm& arm : arms)
    if (Curve found = curve(arm.runs, factor, points); !found.x.empty())
      chart.series.push_back({arm.name, styles.color(arm.name), std::move(found)});
  return chart;
}

Chart progress_chart(const Summary& summary, const std::vector<Arm>& arms, const Styles& styles,
                     std::optional<std::size_t> task) {
  const auto& [factor, decimals, suffix, difference] = summary.primary().unit;
  const std::string key = summary.tasks == 0 ? summary.primary().key : "test_accuracy";
  const std::string name = task ? fmt::format("accuracy on task {}", *task + 1) : summary.primary().name;
  Chart chart = curve_chart(
      summary.tasks == 0 ? "epoch" : "tasks learned", name + summary.primary().unit.axis(), arms, styles, factor,
      [&](const record::Run& run) { return task ? task_points(run, *task) : row_points(run, key); });
  chart.from_the_start = summary.tasks > 0;
  return chart;
}

Chart sweep_chart(const Summary& summary, const Styles& styles, bool differences) {
  const Measure& measure = summary.primary();
  const Unit& unit = measure.unit;
  Chart chart{swept_part(summary.swept), differences ? fmt::format("difference to {}{}{}", summary.baseline,
                                                                   unit.difference.empty() ? "" : ",", unit.difference)
                                                     : measure.name + unit.axis()};
  chart.from_the_start = true;
  std::map<double, const Condition*> conditions;  // by rising value
  for (const Condition& condition : summary.conditions) conditions[condition.value.value()] = &condition;
  for (const auto& [value, condition] : conditions) chart.x_ticks.push_back(value);
  for (const std::string& name : summary.arms) {
    Series series{.name = name, .color = styles.color(name), .curve = {}, .dots = true};
    for (const auto& [value, condition] : conditions) {
      const Arm* arm = condition->find(name);
      const Difference* difference = condition->find(name, summary.baseline, measure);
      if (differences ? difference == nullptr || difference->spread.empty() : arm == nullptr) continue;
      const Spread& spread = differences ? difference->spread : (*arm)[measure];
      const Interval interval = spread.interval.value_or(Interval{spread.mean, spread.mean});
      series.curve.add(value, unit.factor * spread.mean, unit.factor * interval.low, unit.factor * interval.high);
    }
    if (!series.curve.x.empty()) chart.series.push_back(std::move(series));
  }
  return chart;
}

Drawing dot_plot(const std::vector<Arm>& arms, const Measure& measure, const Styles& styles) {
  const Unit& unit = measure.unit;
  constexpr double row = 36;
  plot::Extent values;
  std::size_t most = 13;  // characters of a name; longer ones take room from the plot
  for (const Arm& arm : arms) {
    for (const Sample& sample : arm[measure].samples) values.add(unit.factor * sample.value);
    most = std::clamp<std::size_t>(arm.name.size(), most, 25);
  }
  const plot::Extent reach = values.padded(0.35);  // an interval of two seeds is wide: it may leave the picture
  plot::Extent all = values;
  for (const Arm& arm : arms)
    if (const auto& interval = arm[measure].interval)
      for (const double end : {interval->low, interval->high})
        all.add(std::clamp(unit.factor * end, reach.low, reach.high));
  const plot::Extent shown = all.padded(0.06);
  Drawing drawing(460, 74 + row * static_cast<double>(arms.size()));
  const Frame frame{14 + 7.6 * static_cast<double>(most), 28, 350, drawing.height() - 42};
  const Scale x{shown.low, shown.high, frame.left, frame.right};
  const auto ticks = plot::ticks(shown.low, shown.high, 4);
  for (const double tick : ticks) drawing.line({x(tick), frame.top}, {x(tick), frame.bottom}, "grid");
  plot::axes(drawing, frame, x, {0, 1, frame.bottom, frame.top}, ticks, {}, measure.name + unit.axis(), "");
  const double base = x(unit.factor * arms.front()[measure].mean);
  if (arms.size() > 1) drawing.line({base, frame.top}, {base, frame.bottom}, "reference");
  drawing.text({drawing.width() - 2, frame.top - 12}, "mean ± sd", "small muted end");
  double y = frame.top - row / 2;
  for (const Arm& arm : arms) {
    const Spread& spread = arm[measure];
    y += row;
    drawing.text({frame.left - 10, y + 4}, shortened(arm.name, most), "end");
    if (spread.empty()) continue;
    if (spread.interval) {
      const std::string style = styles.look("interval", arm.name);
      const double low = unit.factor * spread.interval->low, high = unit.factor * spread.interval->high;
      drawing.line({x(std::max(low, shown.low)), y}, {x(std::min(high, shown.high)), y}, style);
      for (const double end : {low, high})
        if (end >= shown.low && end <= shown.high) drawing.line({x(end), y - 5}, {x(end), y + 5}, style);
    }
    drawing.circle({x(unit.factor * spread.mean), y}, 4.6, styles.look("mean", arm.name));
    for (std::size_t s = 0; s < spread.n(); ++s)  // beside the line, so that no dot hides another
      drawing.circle({x(unit.factor * spread.samples[s].value), y + 10 + static_cast<double>(s % 2) * 3.5}, 2.4,
                     styles.look("seed", arm.name));
    const std::string sd = spread.n() > 1 ? " ± " + unit.number(spread.sd) : "";
    drawing.text({drawing.width() - 2, y + 4}, unit.number(spread.mean) + sd, "small end");
  }
  return drawing;
}

Chart tuning_chart(const Json& tuning, const std::vector<std::string>& arms, const Score& score, const Styles& styles) {
  Chart chart{"learning rate (logarithmic)", "validation " + score.name + score.unit.axis()};
  chart.logarithmic_x = chart.from_the_start = true;
  chart.x_ticks = tuning["grid"].get<std::vector<double>>();
  std::vector<double> all;
  for (const std::string& arm : arms) {
    const Json found = tuning["arms"].value(arm, Json::object());
    std::map<double, double> tried;
    for (const Json& one : found.value("tried", Json::array()))
      if (const auto value = number(one, "validation_mean")) tried[one["learning_rate"]] = score.unit.factor * *value;
    if (tried.empty()) continue;
    Series series{.name = arm, .color = styles.color(arm), .curve = {}, .dots = true};
    for (const auto& [rate, value] : tried) {
      series.curve.add(rate, value, value, value);
      all.push_back(value);
    }
    if (const auto chosen = tried.find(found["chosen"]); chosen != tried.end()) series.marked.push_back(*chosen);
    chart.series.push_back(std::move(series));
  }
  // Twice as far below the best as where the better half of all tries ends.
  std::sort(all.rbegin(), all.rend());
  if (!all.empty()) chart.floor = all.front() - std::max(2 * (all.front() - all[all.size() / 2]), 1e-3 * all.front());
  return chart;
}

std::optional<double> lowest_factor(const std::vector<Arm>& arms) {
  std::optional<double> low;
  for (const Arm& arm : arms)
    for (const RunPtr& run : arm.runs)
      for (const std::string& layer : layers_of({run}))
        for (const auto& [epoch, least] : row_points(*run, "factor.min", layer, 0))
          low = std::min(low.value_or(2), least);
  if (low) *low = std::clamp(std::floor(*low * 10 - 1e-9) / 10, 0.0, 1.8);
  return low;
}

Curve factor_curve(const Arm& arm, const std::string& layer) {
  return curve(arm.runs, 1, [&](const record::Run& run) { return row_points(run, "factor.mean", layer, 0); });
}

Drawing factor_strip(const Arm& arm, const std::string& layer, double low, const std::string& x_label,
                     const Styles& styles) {
  const Curve center = factor_curve(arm, layer);
  const double first = center.x.front(), last = center.x.back();
  const double step = std::max(1.0, std::ceil((last - first + 1) / 40));  // so many epochs share a column
  std::map<double, std::vector<double>> columns;                          // the units of all runs in each bin
  for (const RunPtr& run : arm.runs)
    for (const Json& row : run->epochs)
      if (const Json& found = layer_of(row, layer); found.contains("factor") && found["factor"].contains("histogram")) {
        const auto histogram = found["factor"]["histogram"].get<std::vector<double>>();
        std::vector<double>& sum = columns[std::floor((row["epoch"].get<double>() - first) / step)];
        sum.resize(std::max(sum.size(), histogram.size()));
        std::transform(histogram.begin(), histogram.end(), sum.begin(), sum.begin(), std::plus<>());
      }
  double most = 0;  // the largest share of one cell: it gets the full color, so that a wide strip is seen as well
  for (auto& [column, bins] : columns) {
    const double total = std::accumulate(bins.begin(), bins.end(), 0.0);
    for (double& bin : bins) most = std::max(most, bin /= std::max(1.0, total));
  }
  Drawing drawing(300, 190);
  const Frame frame{34, 24, 292, 148};
  const Scale x{first, last + step, frame.left, frame.right}, y{low, 2, frame.bottom, frame.top};
  plot::axes(drawing, frame, {first - step / 2, last + step / 2, frame.left, frame.right}, y,
             plot::whole(plot::ticks(first, std::max(last, first + 1), 5)), plot::ticks(low, 2, 4), x_label, "factor");
  for (const auto& [column, bins] : columns)
    for (std::size_t bin = 0; bin < bins.size(); ++bin) {
      const double left = x(first + column * step), upper = 0.1 * static_cast<double>(bin + 1);
      if (bins[bin] > 0 && upper >= low + 0.05)
        drawing.rectangle({left, y(upper)}, x(step) - x(0) - 0.6, y(0) - y(0.1) - 0.6, styles.look("cell", arm.name),
                          std::max(0.04, 0.85 * bins[bin] / most));
    }
  std::vector<Point> line;
  for (std::size_t i = 0; i < center.x.size(); ++i)
    line.emplace_back(x(center.x[i] + step / 2), y(std::max(low, center.mean[i])));
  drawing.polyline(line, "over");
  return drawing;
}

Drawing heat_map(const Arm& arm, const Styles& styles) {
  const auto matrix = matrix_of(arm);
  const std::size_t tasks = matrix.size(), every = tasks > 10 ? 5 : 1;
  const bool written = tasks <= 6;
  const double side = written ? 46 : 276.0 / static_cast<double>(tasks), left = 34, top = 30;
  const double extent = side * static_cast<double>(tasks);
  Drawing drawing(left + extent + 8, top + extent + 8);
  drawing.text({left + extent / 2, 11}, "accuracy on task, %", "small muted middle");
  drawing.text({10, top + extent / 2}, "after task", "small muted middle", true);
  for (std::size_t i = 0; i < tasks; ++i) {
    const double y = top + side * static_cast<double>(i), across = left + side * (static_cast<double>(i) + 0.5);
    if (i == 0 || (i + 1) % every == 0) {
      drawing.text({across, top - 5}, std::to_string(i + 1), "small muted middle");
      drawing.text({left - 5, y + side / 2 + 4}, std::to_string(i + 1), "small muted end");
    }
    for (std::size_t j = 0; j < tasks; ++j) {
      const double x = left + side * static_cast<double>(j);
      const auto& interval = matrix[i][j].interval;
      drawing.open("", fmt::format("task {} after task {}: {}", j + 1, i + 1, level_text(matrix[i][j], percent)));
      drawing.rectangle({x, y}, side - 1, side - 1, styles.look("cell", arm.name), 0.04 + 0.66 * matrix[i][j].mean);
      if (written)
        drawing.text({x + side / 2, y + side / 2 + (interval ? 0 : 4)}, fixed(100 * matrix[i][j].mean, 1),
                     "small middle");
      if (written && interval)
        drawing.text({x + side / 2, y + side / 2 + 13}, "±" + fixed(50 * (interval->high - interval->low), 1),
                     "small middle faint");
      drawing.close();
    }
  }
  return drawing;
}

/// Of each condition a row: how the score came about, and how it ends. Of a sweep, scores and differences.
std::string picture(const Summary& summary) {
  const Styles styles(summary.arms);
  std::vector<std::pair<Drawing, Drawing>> rows;
  std::vector<std::string> headings;
  std::string label = summary.tasks > 0 ? "Left: accuracy on the first task while it and the others are learned"
                                        : "Left: the score against the epoch";
  label += ", means over seeds with bands of one standard deviation. Right: every seed, the mean, its 95 % interval.";
  if (!summary.swept.empty()) {
    rows.emplace_back(plot::line_chart(sweep_chart(summary, styles, false)),
                      plot::line_chart(sweep_chart(summary, styles, true)));
    headings.push_back(summary.title);
    label = "Left: final scores. Right: paired differences to the baseline. Bands are 95 % intervals.";
  } else {
    for (const Condition& condition : summary.conditions) {
      const std::vector<Arm> arms = without_methods(condition);
      const Drawing ends = dot_plot(arms, summary.primary(), styles);
      Chart progress = progress_chart(summary, arms, styles, summary.tasks > 0 ? std::optional(0UL) : std::nullopt);
      progress.height = std::max(280.0, ends.height());
      rows.emplace_back(plot::line_chart(progress), ends);
      headings.push_back(summary.title + (condition.title.empty() ? "" : ". " + condition.title));
    }
  }
  const double top = summary.swept.empty() ? 56 : 78;
  double height = 24, y = 0;
  for (const auto& [left, right] : rows) height += top - 12 + std::max(left.height(), right.height());
  Drawing all(972, height);
  all.card("");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& [left, right] = rows[i];
    all.text({20, y + 34}, headings[i], "heading");
    all.text({20, y + 58}, summary.swept, "small muted");
    all.place(left, {16, y + top});
    all.place(right, {496, y + top});
    y += top - 12 + std::max(left.height(), right.height());
  }
  return all.element(summary.title + ". " + label, plot::plot_style());
}

}  // namespace grapes::report
