#pragma once

#include "grapes/data/open.h"
#include "grapes/record/record.h"

#include <cstdint>
#include <string>
#include <vector>

/// Scenarios: sequences of tasks that are made from one data set.
namespace grapes::continual {

struct Scenario;

/// A row of the table of scenarios.
struct ScenarioRow {
  std::string name;
  std::string summary;
  /// Draws task number `task` of `tasks` from `seed`, as an entry of the manifest's "tasks".
  record::Json (*describe)(const data::DatasetInfo& info, std::int64_t task, std::int64_t tasks, std::uint64_t seed);
  /// Adds the tasks of scenario.manifest. @param where  the manifest's file, for messages
  void (*make)(Scenario& scenario, const data::Splits& splits, const std::string& where);
};
const std::vector<ScenarioRow>& scenarios();

/// A part of a stream of examples.
struct Task {
  data::DatasetPtr train;  ///< augmented if requested
  data::DatasetPtr plain;  ///< the same examples, not augmented
  data::DatasetPtr validation;
  data::DatasetPtr test;
};

/// Applies the same change to all parts of a data set.
template <class Change>
Task changed(const data::Splits& splits, Change change) {
  Task task;
  task.train = change(splits.train);
  task.plain = splits.train_plain == splits.train ? task.train : change(splits.train_plain);
  task.validation = splits.validation ? change(splits.validation) : nullptr;
  task.test = splits.test ? change(splits.test) : nullptr;
  return task;
}

/// The manifest describes the tasks, so that another program can make the same ones:
///   {"format": "grapes-scenario/1", "scenario": NAME, "seed": seed of the draw, "data": name of the data set,
///    "fingerprint": SHA-256 of its bytes, "input_shape": [...], "classes": [names],
///    "train_rows": number of training examples, "validation_rows": [indices of the source's training examples that are
///    used for validation, from 0] (absent for sequences),
///    "tasks": [...]}. A task is
///   permuted, all-permuted  {"permutation": [p_0, p_1, ...]}: input i of the task is input p_i of the flattened
///                           example; empty: not permuted
///   rotated, all-rotated    {"degrees": a}: counterclockwise, see data::rotated
///   split                   {"classes": [c_0, ...]}: only these classes; each task has its own output units (known
///                           heads)
///   class-incremental       the same, but all tasks share one head: the output of a class is its position in the list
///                           of all tasks' classes
///   domain-incremental      the same, but the output of a class is its position in its own task's list
///   mnist-360               {"classes": [a, b], "parts": [i, j]}: see turning.h
/// With blurred boundaries, each task also has {"received": [[task, row], ...]}: training examples that it takes from
/// other tasks, which no longer have them. Rows count the task's own training examples, from 0.
struct Scenario {
  std::vector<Task> tasks;
  data::DatasetInfo info;  ///< of the network: outputs of all tasks
  bool shuffle = true;     ///< shuffle every epoch; false: the order of the file
  at::Tensor heads;        ///< [task, answers] int64, the outputs of each task; undefined: every task uses all outputs
  std::vector<at::Tensor> examples;  ///< [n, 2] (task, row), the training examples of each task
  record::Json manifest;
  std::vector<std::string> notes;  ///< remarks for people, e.g. that classes are dropped
};

/// Creates the manifest of a scenario from the seed.
/// @param blur  fraction of each task's training examples that is mixed with those of the other tasks
/// @throws UsageError if the data do not support the scenario, or for more tasks than the classes allow
record::Json describe(const std::string& scenario, std::int64_t tasks, const data::Splits& splits, std::uint64_t seed,
                      double blur = 0);
/// Creates the tasks of a manifest. @param where  the manifest's file, for messages
/// @throws DataError with the field, if the manifest is invalid or was made for other data
Scenario make_scenario(const record::Json& manifest, const data::Splits& splits, const std::string& where);
/// Reads a manifest. @throws DataError with the file if it is not valid JSON
record::Json read_manifest(const std::string& path);

}  // namespace grapes::continual
