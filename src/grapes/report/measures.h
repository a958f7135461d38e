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

/// What is compared: arms, their runs, and the numbers and curves that the rows of a run give.
namespace grapes::report {
using plot::count;
using plot::Curve;
using plot::fixed;
using plot::listed;
using plot::p_value;
using plot::quoted;
using plot::shortened;
using plot::with_sign;

/// The arms of the paper and its controls, in the order in which they are listed, drawn and explained.
struct KnownArm {
  const char* name;
  const char* meaning;  ///< one line, for the page
};
extern const std::vector<KnownArm> known_arms;
/// The place in this table, its size for any other arm. Constants count as one arm: "constant:1.85", "constant:2".
std::size_t place_of(const std::string& arm);
/// What is held against what beside the baseline, and what the difference is due to.
struct Control {
  std::string arm, against;
  std::string meaning;
};
/// Of the arms that are there: grapes against uniform and shuffled, X+grapes against X.
std::vector<Control> controls_of(const std::vector<std::string>& arms);

/// Runs are read once and shared by the arms and conditions that they belong to.
using RunPtr = std::shared_ptr<const record::Run>;
using Runs = std::vector<RunPtr>;
Runs share(std::vector<record::Run> runs);
/// Whether all runs give the same value.
template <class Of>
bool alike(const Runs& runs, const Of& of) {
  return std::all_of(runs.begin(), runs.end(), [&](const RunPtr& run) { return of(*run) == of(*runs.front()); });
}
inline std::string model_of(const record::Run& run) { return run.identity.model; }
inline std::string pairing_of(const record::Run& run) { return run.identity.pairing; }
/// Whether the run learns several tasks one after the other.
bool learns_tasks(const record::Run& run);

/// A number of a row, or nothing if it is absent or not finite (JSON holds null for these). "factor.mean" is the mean
/// in the object called factor.
std::optional<double> number(const record::Json& row, std::string key);
/// The names of the layers, in order, over all runs.
std::vector<std::string> layers_of(const Runs& runs);
/// The layer of that name in a row, or null.
const record::Json& layer_of(const record::Json& row, const std::string& name);

using Points = std::vector<std::pair<double, double>>;
/// A number of each row against its epoch, epochs before `first` left out; with `layer`, a number of that layer.
Points row_points(const record::Run& run, const std::string& key, const std::string& layer = "", double first = 1);
/// Accuracy on one task (from 0) against the number of tasks learned, from the first point of the task's own turn on.
Points task_points(const record::Run& run, std::size_t task);
/// Mean over the runs that have a point there, and one standard deviation to either side; all times `factor`.
Curve curve(const Runs& runs, double factor, const std::function<Points(const record::Run&)>& points);

/// How a measure is written: an accuracy in percent and its differences in points, everything else as it is.
struct Unit {
  double factor = 1;
  int decimals = 4;
  std::string suffix = {};      ///< of a level, " %" or ""
  std::string difference = {};  ///< of a difference, " points" or ""
  std::string number(double value) const { return fixed(factor * value, decimals); }
  std::string level(double value) const { return number(value) + suffix; }
  std::string change(double value) const { return with_sign(factor * value, decimals); }
  std::string axis() const { return suffix.empty() ? "" : "," + suffix; }
};

/// A kind of score that a run can have, see record::Identity.
struct Score {
  std::string key;
  std::string name;     ///< "accuracy", "R²"
  std::string meaning;  ///< what is summed and averaged in it, where the name does not tell
  Unit unit;
  Bounds bounds;
};
/// A score that is not in the table is written as it is.
Score score_of(const std::string& key);

/// A number that a run gives. A summary's tables, findings and plots come from a list of these: a new one is a row.
struct Measure {
  enum class Better { more, less };
  std::string key;      ///< in summary.json: "test_accuracy", "forgetting"
  std::string name;     ///< "test accuracy"
  std::string meaning;  ///< one line, for the page
  Unit unit;
  Bounds bounds;
  Better better;
  std::function<std::optional<double>(const record::Run&)> of;
  bool compared = false;  ///< the table of comparisons has its paired differences
};
/// Of runs on one task: the score at the end, how fast it was reached, and at what cost.
/// @param part    "test": the score is that of this part
/// @param target  a score; if there is one, the epochs until it are a measure
std::vector<Measure> training_measures(const Score& score, const std::string& part, std::optional<double> target);
/// Of runs that learn several tasks, see Transfer in statistics.h. Joint training only has an average accuracy.
std::vector<Measure> task_measures();

}  // namespace grapes::report
