#pragma once

#include "grapes/plot/chart.h"
#include "grapes/record/record.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// What the rows of runs say, as numbers and as curves.
namespace grapes::report {

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

/// A number of a row, or nothing if it is absent or not finite (JSON holds null for these). "factor.mean" is the mean
/// in the object called factor.
std::optional<double> number(const record::Json& row, const std::string& key);

/// The names of the layers, in order, over all runs.
std::vector<std::string> layers_of(const Runs& runs);
/// The layer of that name in a row, or null.
const record::Json& layer_of(const record::Json& row, const std::string& name);

/// Whether the run learns several tasks one after the other.
bool learns_tasks(const record::Run& run);
/// Of such a run: R[i][j], accuracy on task j after training on task i.
std::vector<std::vector<double>> accuracies(const record::Run& run);

using Points = std::vector<std::pair<double, double>>;
/// A number of each row against its epoch, epochs before `first` left out; with `layer`, a number of that layer.
Points row_points(const record::Run& run, const std::string& key, const std::string& layer = "", double first = 1);
/// Accuracy on one task (from 0) against the number of tasks learned, from the first point of the task's own turn on.
Points task_points(const record::Run& run, std::size_t task);

using plot::Curve;
/// Mean over the runs that have a point there, and one standard deviation to either side; all times `factor`.
Curve curve(const Runs& runs, double factor, const std::function<Points(const record::Run&)>& points);

}  // namespace grapes::report
