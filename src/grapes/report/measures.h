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
/// Two arms whose paired runs are compared, and for a control what their difference is due to.
struct Comparison {
  std::string arm, against;
  std::string meaning = {};  ///< empty for a comparison with the baseline
  bool control() const { return !meaning.empty(); }
};
/// Returns "fa" for "fa+grapes", and "" for an arm that is not GRAPES on top of another rule.
std::string rule_below(const std::string& arm);
/// Returns all comparisons that these arms allow: each with the baseline, and the controls, which are grapes with
/// uniform and shuffled, and X+grapes with X.
std::vector<Comparison> comparisons_of(const std::vector<std::string>& arms, const std::string& baseline);

/// Runs are read once. Arms and conditions share them.
using RunPtr = std::shared_ptr<const record::Run>;
using Runs = std::vector<RunPtr>;
Runs share(std::vector<record::Run> runs);
/// Returns whether all runs give the same value.
template <class Of>
bool alike(const Runs& runs, const Of& of) {
  return std::ranges::all_of(runs, [&](const RunPtr& run) { return of(*run) == of(*runs.front()); });
}
inline std::string model_of(const record::Run& run) { return run.identity.model; }
inline std::string pairing_of(const record::Run& run) { return run.identity.pairing; }
/// Returns whether the run learns several tasks in sequence, and how many it has learned; 0 for a single task.
bool learns_tasks(const record::Run& run);
std::size_t tasks_of(const record::Run& run);

/// Returns a number of a row, or nothing if it is absent or not finite (null in JSON). The key "factor.mean" names the
/// member mean of the object factor.
std::optional<double> number(const record::Json& row, std::string key);
/// Returns the names of the layers of all runs, in order.
std::vector<std::string> layers_of(const Runs& runs);
/// Returns the layer with this name in a row, or null.
const record::Json& layer_of(const record::Json& row, const std::string& name);

/// Returns a number of each row against its epoch, from epoch 1 on. With `layer`, the number is read from that layer.
Points row_points(const record::Run& run, const std::string& key, const std::string& layer = "");
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

/// A number of a run, and how it is written. Tables, findings and plots are made from lists of measures; a new measure
/// is a row.
struct Measure {
  enum class Better { more, less, neither };
  std::string key;      ///< in summary.json: "test_accuracy", "forgetting"
  std::string name;     ///< "test accuracy"
  std::string meaning;  ///< one line, for the page; empty if the name says it
  Unit unit;
  Bounds bounds;
  Better better = Better::more;
  std::function<std::optional<double>(const record::Run&)> of = {};  ///< empty for a score of no particular part
  bool compared = false;  ///< the table of comparisons lists its paired differences
};
/// Returns the score with this key, see record::Identity; one that is not in the table is written without a unit.
Measure score_of(const std::string& key);
/// Returns the measures of runs on one task: the final score, the speed of convergence and the time.
/// @param part    part whose score is measured, for example "test"
/// @param target  a score; if given, the epochs until it are a measure too
std::vector<Measure> training_measures(const Measure& score, const std::string& part, std::optional<double> target);
/// Returns the measures of runs on several tasks, see Transfer in statistics.h. Joint training has an average accuracy
/// only.
std::vector<Measure> task_measures();

/// A kind of part of a network that has measures of its own.
struct PartKind {
  const char* name;
  std::vector<std::string> (*names_of)(const Runs& runs);
  std::vector<Measure> (*measures)(const std::string& part);
};
/// Layers: their factors at the end of a run, over the units.
extern const PartKind layer_factors;
/// Weights: what the tasks did to them, means over the tasks of a run.
extern const PartKind weight_changes;

}  // namespace grapes::report
