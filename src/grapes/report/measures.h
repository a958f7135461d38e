#pragma once

#include "grapes/plot/chart.h"
#include "grapes/plot/format.h"
#include "grapes/record/record.h"
#include "grapes/report/statistics.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// The arms of a comparison, their runs, and the measures and curves that are read from the rows of a run.
namespace grapes::report {
using plot::count;
using plot::Curve;
using plot::fixed;
using plot::listed;
using plot::p_value;
using plot::quoted;
using plot::shortened;
using plot::with_sign;

/// The arms of the paper and its controls. Tables, plots and explanations list them in this order.
struct KnownArm {
  const char* name;
  const char* meaning;  ///< one line, for the page
};
extern const std::vector<KnownArm> known_arms;
/// Returns the arm's index in this table, or the size of the table for any other arm. All constants ("constant:1.85",
/// "constant:2") have the same index.
std::size_t place_of(const std::string& arm);
/// A comparison with a control, in addition to those with the baseline, and what its difference is due to.
struct Control {
  std::string arm, against;
  std::string meaning;
};
/// Returns the control comparisons that these arms allow: grapes with uniform and shuffled, X+grapes with X.
std::vector<Control> controls_of(const std::vector<std::string>& arms);

/// Runs are read once. Arms and conditions share them.
using RunPtr = std::shared_ptr<const record::Run>;
using Runs = std::vector<RunPtr>;
Runs share(std::vector<record::Run> runs);
/// Returns whether all runs give the same value.
template <class Of>
bool alike(const Runs& runs, const Of& of) {
  return std::all_of(runs.begin(), runs.end(), [&](const RunPtr& run) { return of(*run) == of(*runs.front()); });
}
inline std::string model_of(const record::Run& run) { return run.identity.model; }
inline std::string pairing_of(const record::Run& run) { return run.identity.pairing; }
/// Returns whether the run learns several tasks in sequence.
bool learns_tasks(const record::Run& run);

/// Returns a number of a row, or nothing if it is absent or not finite (null in JSON). The key "factor.mean" names the
/// member mean of the object factor.
std::optional<double> number(const record::Json& row, std::string key);
/// Returns the names of the layers of all runs, in order.
std::vector<std::string> layers_of(const Runs& runs);
/// Returns the layer with this name in a row, or null.
const record::Json& layer_of(const record::Json& row, const std::string& name);

using Points = std::vector<std::pair<double, double>>;
/// Returns a number of each row against its epoch, from epoch `first` on. With `layer`, the number is read from that
/// layer.
Points row_points(const record::Run& run, const std::string& key, const std::string& layer = "", double first = 1);
/// Returns the accuracy on a task (counted from 0) against the number of tasks learned, from the start of this task on.
Points task_points(const record::Run& run, std::size_t task);
/// Returns at each point the mean over the runs that have it, with a band of one standard deviation, multiplied by
/// `factor`.
Curve curve(const Runs& runs, double factor, const std::function<Points(const record::Run&)>& points);

/// How a measure is written. An accuracy is written in percent and its differences in points.
struct Unit {
  double factor = 1;
  int decimals = 4;
  std::string suffix = {};      ///< after a level: " %" or ""
  std::string difference = {};  ///< after a difference: " points" or ""
  std::string number(double value) const { return fixed(factor * value, decimals); }
  std::string level(double value) const { return number(value) + suffix; }
  std::string change(double value) const { return with_sign(factor * value, decimals); }
  std::string axis() const { return suffix.empty() ? "" : "," + suffix; }
};

/// A kind of score, see record::Identity.
struct Score {
  std::string key;
  std::string name;     ///< "accuracy", "R²"
  std::string meaning;  ///< how it is summed and averaged, if the name does not say so
  Unit unit;
  Bounds bounds;
};
/// Returns the row for this key; a score that is not in the table is written without a unit.
Score score_of(const std::string& key);

/// A number that is read from a run. Tables, findings and plots are made from a list of measures; a new measure is a
/// row.
struct Measure {
  enum class Better { more, less };
  std::string key;      ///< in summary.json: "test_accuracy", "forgetting"
  std::string name;     ///< "test accuracy"
  std::string meaning;  ///< one line, for the page
  Unit unit;
  Bounds bounds;
  Better better;
  std::function<std::optional<double>(const record::Run&)> of;
  bool compared = false;  ///< the table of comparisons lists its paired differences
};
/// Returns the measures of runs on one task: the final score, the speed of convergence and the time.
/// @param part    part whose score is measured, for example "test"
/// @param target  a score; if given, the epochs until it are a measure too
std::vector<Measure> training_measures(const Score& score, const std::string& part, std::optional<double> target);
/// Returns the measures of runs on several tasks, see Transfer in statistics.h. Joint training has an average accuracy
/// only.
std::vector<Measure> task_measures();

}  // namespace grapes::report
