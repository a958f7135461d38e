#pragma once

#include "grapes/data/open.h"
#include "grapes/record/record.h"

#include <cstdint>
#include <string>
#include <vector>

/// Tasks one after the other, made of one data set, and how a network learns them without forgetting.
namespace grapes::continual {

/// A way to make tasks of a data set.
struct ScenarioRow {
  std::string name;
  std::string summary;
  /// What task number `task` of `tasks` is, drawn from `seed`: an entry of the manifest's "tasks".
  record::Json (*describe)(const data::DatasetInfo& info, std::int64_t task, std::int64_t tasks, std::uint64_t seed);
};
const std::vector<ScenarioRow>& scenarios();

struct Task {
  data::DatasetPtr train;  ///< augmented if asked for
  data::DatasetPtr plain;  ///< the same examples, never augmented
  data::DatasetPtr validation;
  data::DatasetPtr test;
};

/// The manifest, from which another program can make the same tasks:
///   {"format": "grapes-scenario/1", "scenario": NAME, "seed": what it was drawn from, "data": name of the data set,
///    "fingerprint": SHA-256 of its bytes, "input_shape": [...], "classes": [names],
///    "train_rows": how many training examples are used, "validation_rows": [which of the source's training examples
///    are set aside, from 0] (absent for sequences),
///    "tasks": [...]}, a task being
///   permuted           {"permutation": [p_0, p_1, ...]}: input i of the task is input p_i of the flattened example;
///                      empty for the first task: as they are
///   rotated            {"degrees": a}: counterclockwise, see data::rotated; 0 for the first task
///   split              {"classes": [c_0, ...]}: only these; the task's answers are outputs of its own (heads known)
///   class-incremental  the same, but all tasks' answers are one head: a class is the output of its place among
///                      the tasks' classes, one task's after the other's
struct Scenario {
  std::vector<Task> tasks;
  data::DatasetInfo info;  ///< of the network: its outputs are those of all tasks
  bool shuffle = true;     ///< a new order every epoch; false: the order of the file
  at::Tensor heads;        ///< [task, answers] int64, the outputs that are a task's answers; undefined: all, for all
  record::Json manifest;
  std::vector<std::string> notes;  ///< what a person should know, e.g. that classes are left over
};

/// The manifest of a scenario, from the seed alone.
/// @throws UsageError for a scenario the data cannot form, or more tasks than its classes allow
record::Json describe(const std::string& scenario, std::int64_t tasks, const data::Splits& splits, std::uint64_t seed);
/// The tasks a manifest describes. @param where  the manifest's file, for messages
/// @throws DataError, naming the field, for one that is broken or was made for other data
Scenario make_scenario(const record::Json& manifest, const data::Splits& splits, const std::string& where);
/// Read one. @throws DataError naming the file, for what is no JSON
record::Json read_manifest(const std::string& path);

}  // namespace grapes::continual
