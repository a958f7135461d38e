#include "grapes/report/continual_plots.h"

#include "grapes/report/format.h"
#include "grapes/report/statistics.h"

#include <algorithm>
#include <map>

namespace grapes::report {
using record::Json;
using record::Run;
using svg::Drawing;
namespace {

/// Means and standard deviations of what several runs say at the same places.
class Gathered {
 public:
  void add(double x, double y) { at_[x].push_back(100 * y); }
  Curve curve() const {
    Curve result;
    for (const auto& [x, y] : at_) {
      result.epoch.push_back(x);
      result.mean.push_back(mean(y));
      result.sd.push_back(standard_deviation(y));
    }
    return result;
  }

 private:
  std::map<double, std::vector<double>> at_;
};

}  // namespace

Drawing heat_map(const Json& arm, const Styles& styles) {
  const Json& means = arm["matrix"]["mean"];
  const Json& halves = arm["matrix"]["half_width"];
  const std::size_t tasks = means.size();
  const bool written = tasks <= 6;
  const double side = written ? 46 : 276.0 / static_cast<double>(tasks), left = 34, top = 30;
  const double extent = side * static_cast<double>(tasks);
  Drawing drawing(left + extent + 8, top + extent + 8);
  drawing.text({left + extent / 2, 11}, "accuracy on task, %", "class=\"small muted\" text-anchor=\"middle\"");
  drawing.text({0, 0}, "after task",
               "class=\"small muted\" text-anchor=\"middle\" transform=\"translate(10 " +
                   svg::coordinate(top + extent / 2) + ") rotate(-90)\"");
  const std::size_t every = tasks > 10 ? 5 : 1;
  for (std::size_t i = 0; i < tasks; ++i) {
    const double middle = (static_cast<double>(i) + 0.5) * side;
    if (i == 0 || (i + 1) % every == 0) {
      drawing.text({left + middle, top - 5}, std::to_string(i + 1), "class=\"small muted\" text-anchor=\"middle\"");
      drawing.text({left - 5, top + middle + 4}, std::to_string(i + 1), "class=\"small muted\" text-anchor=\"end\"");
    }
  }
  drawing.open(styles.attributes(arm["arm"], "cells"));
  for (std::size_t i = 0; i < tasks; ++i)
    for (std::size_t j = 0; j < tasks; ++j) {
      const double value = means[i][j];
      std::string hint = "task " + std::to_string(j + 1) + " after task " + std::to_string(i + 1) + ": " +
                         fixed(100 * value, 2) + " %";
      if (halves[i][j].is_number()) hint += " ± " + fixed(100 * halves[i][j].get<double>(), 2);
      drawing.open("class=\"cell\" opacity=\"" + svg::coordinate(0.04 + 0.66 * std::clamp(value, 0.0, 1.0)) + "\"");
      drawing.hint(hint);
      drawing.rectangle({left + side * static_cast<double>(j), top + side * static_cast<double>(i)}, side - 1, side - 1,
                        "");
      drawing.close();
    }
  drawing.close();
  if (!written) return drawing;
  for (std::size_t i = 0; i < tasks; ++i)
    for (std::size_t j = 0; j < tasks; ++j) {
      const double x = left + side * (static_cast<double>(j) + 0.5), y = top + side * (static_cast<double>(i) + 0.5);
      const bool spread = halves[i][j].is_number();
      drawing.text({x, y + (spread ? 0 : 4)}, fixed(100 * means[i][j].get<double>(), 1),
                   "class=\"small\" text-anchor=\"middle\"");
      if (spread)
        drawing.text({x, y + 13}, "±" + fixed(100 * halves[i][j].get<double>(), 1),
                     "class=\"small\" opacity=\"0.75\" text-anchor=\"middle\"");
    }
  return drawing;
}

Curve task_curve(const Arm& arm, std::size_t task) {
  Gathered gathered;
  for (const Run* run : arm.runs)
    for (const Json& row : run->epochs) {
      const auto learnt = row["epoch"].get<std::size_t>();
      if (learnt <= task) continue;
      gathered.add(static_cast<double>(learnt), row["test_tasks"][task]);
      for (const Json& point : row.value("curve", Json::array()))
        if (task < point["test"].size())
          gathered.add(static_cast<double>(learnt) - 1 + point["part"].get<double>(), point["test"][task]);
    }
  return gathered.curve();
}

Curve average_curve(const Arm& arm) {
  Gathered gathered;
  for (const Run* run : arm.runs)
    for (const Json& row : run->epochs)
      if (row["epoch"] > 0) gathered.add(row["epoch"], row["test_accuracy"]);
  return gathered.curve();
}

Drawing average_plot(const std::vector<Json>& arms, const Styles& styles) {
  Json rows = Json::array();
  for (const Json& arm : arms) {
    Json row = arm["average_accuracy"];
    row["arm"] = arm["arm"];
    row["scores"] = row["each"];
    rows.push_back(row);
  }
  return dot_plot({{"score", "accuracy"}, {"part", "average"}, {"arms", rows}}, styles);
}

}  // namespace grapes::report
