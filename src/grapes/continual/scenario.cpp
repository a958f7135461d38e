#include "grapes/continual/scenario.h"

#include "grapes/base/file.h"
#include "grapes/base/random.h"
#include "grapes/base/table.h"
#include "grapes/continual/manifest.h"
#include "grapes/continual/turning.h"
#include "grapes/data/transform.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>
#include <utility>

namespace grapes::continual {
using record::Json;
namespace {

const char* const format = "grapes-scenario/1";

std::int64_t width_of(const data::DatasetInfo& info) {
  return std::accumulate(info.input_shape.begin(), info.input_shape.end(), std::int64_t{1}, std::multiplies<>());
}

Json all_permuted(const data::DatasetInfo& info, std::int64_t task, std::int64_t, std::uint64_t seed) {
  Random random(stream_seed(seed, "permuted", static_cast<std::uint64_t>(task)));
  return {{"permutation", permutation(width_of(info), random)}};
}

Json permuted(const data::DatasetInfo& info, std::int64_t task, std::int64_t tasks, std::uint64_t seed) {
  return task == 0 ? Json{{"permutation", Json::array()}} : all_permuted(info, task, tasks, seed);
}

/// Uniform in [0, 1), one number per task.
double turn(const data::DatasetInfo& info, std::int64_t task, std::uint64_t seed) {
  if (info.input_shape.size() != 3 || info.sequence)
    throw UsageError("scenario", "rotated needs images; the examples of this data set are not images");
  return Random(stream_seed(seed, "rotated", static_cast<std::uint64_t>(task))).uniform();
}

Json all_rotated(const data::DatasetInfo& info, std::int64_t task, std::int64_t, std::uint64_t seed) {
  return {{"degrees", 180 * turn(info, task, seed)}};
}

/// Divides half a turn into as many parts as there are tasks, and draws an angle from each. The first task is upright.
Json rotated(const data::DatasetInfo& info, std::int64_t task, std::int64_t tasks, std::uint64_t seed) {
  const double part = 180 / static_cast<double>(tasks), drawn = turn(info, task, seed);
  return {{"degrees", task == 0 ? 0.0 : part * (static_cast<double>(task) + drawn)}};
}

/// Draws an order of the classes and divides them equally among the tasks.
Json split(const data::DatasetInfo& info, std::int64_t task, std::int64_t tasks, std::uint64_t seed) {
  const std::int64_t each = info.outputs / tasks;
  if (each < 2)
    throw UsageError("tasks", fmt::format("must be at most {}: a split needs at least two classes per task, and there "
                                          "are {} classes; got {}",
                                          info.outputs / 2, info.outputs, tasks));
  Random random(stream_seed(seed, "split"));
  const std::vector<std::int64_t> order = permutation(info.outputs, random);
  return {{"classes", std::vector<std::int64_t>(order.begin() + task * each, order.begin() + (task + 1) * each)}};
}

void same(bool holds, const std::string& where, const char* name, const std::string& expected,
          const std::string& found) {
  if (!holds)
    throw DataError(where + ": does not fit this data: '" + name + "' must be " + expected + "; got " + found);
}

void check(const Json& manifest, const data::Splits& splits, const std::string& where) {
  if (!manifest.is_object()) throw DataError(where + ": expected a JSON object");
  const auto kind = field<std::string>(manifest, "format", where);
  if (kind != format) throw DataError(where + ": 'format' must be " + format + "; got '" + kind + "'");
  const auto fingerprint = field<std::string>(manifest, "fingerprint", where);
  same(fingerprint == splits.fingerprint, where, "fingerprint", splits.fingerprint + " (" + splits.name + ")",
       fingerprint + " (" + field<std::string>(manifest, "data", where) + ")");
  const auto shape = field<std::vector<std::int64_t>>(manifest, "input_shape", where);
  same(shape == splits.info.input_shape, where, "input_shape",
       fmt::format("[{}]", fmt::join(splits.info.input_shape, ", ")), fmt::format("[{}]", fmt::join(shape, ", ")));
  if (manifest.contains("train_rows"))
    same(manifest["train_rows"] == splits.train->size(), where, "train_rows", std::to_string(splits.train->size()),
         manifest["train_rows"].dump());
  if (manifest.contains("validation_rows") && splits.validation_rows.defined()) {
    const auto rows = field<std::vector<std::int64_t>>(manifest, "validation_rows", where);
    if (!at::tensor(rows, at::kLong).equal(splits.validation_rows))
      throw DataError(where +
                      ": does not fit this data: the validation examples differ ('validation_rows'); check the option "
                      "'validation-split' and the first seed");
  }
}

Task permuted_task(const Json& task, const data::Splits& splits, const std::string& where) {
  const auto order = field<std::vector<std::int64_t>>(task, "permutation", where);
  if (order.empty()) return {splits.train, splits.train_plain, splits.validation, splits.test};
  const std::int64_t width = width_of(splits.info);
  const std::set<std::int64_t> once(order.begin(), order.end());
  if (static_cast<std::int64_t>(order.size()) != width || static_cast<std::int64_t>(once.size()) != width ||
      *once.begin() != 0 || *once.rbegin() != width - 1)
    throw DataError(fmt::format("{}: 'permutation' must contain each of 0 ... {} once", where, width - 1));
  const at::Tensor tensor = at::tensor(order, at::kLong);
  return changed(splits, [&](const data::DatasetPtr& part) { return data::permuted(part, tensor); });
}

Task rotated_task(const Json& task, const data::Splits& splits, const std::string& where) {
  const auto degrees = field<double>(task, "degrees", where);
  if (degrees == 0) return {splits.train, splits.train_plain, splits.validation, splits.test};
  return changed(splits,
                 [&](const data::DatasetPtr& part) { return data::rotated(part, degrees, splits.normalization); });
}

template <Task (*make)(const Json&, const data::Splits&, const std::string&)>
void one_by_one(Scenario& scenario, const data::Splits& splits, const std::string& where) {
  for (const Json& task : scenario.manifest["tasks"])
    scenario.tasks.push_back(make(task, splits, fmt::format("{}: task {}", where, scenario.tasks.size() + 1)));
}

/// The outputs of tasks with some classes each.
enum class Outputs {
  heads,   // each task has its own
  all,     // all tasks choose among the classes of all
  reused,  // each task's classes use the same
};

template <Outputs outputs>
void split_tasks(Scenario& scenario, const data::Splits& splits, const std::string& where) {
  std::vector<std::vector<std::int64_t>> classes;
  std::vector<std::int64_t> all;
  for (const Json& task : scenario.manifest["tasks"]) {
    classes.push_back(field<std::vector<std::int64_t>>(task, "classes", where));
    if (classes.back().size() < 2 || classes.back().size() != classes.front().size())
      throw DataError(where + ": 'classes' must have the same length in each task, at least two");
    all.insert(all.end(), classes.back().begin(), classes.back().end());
  }
  const std::set<std::int64_t> once(all.begin(), all.end());
  if (once.size() != all.size() || *once.begin() < 0 || *once.rbegin() >= splits.info.outputs)
    throw DataError(fmt::format("{}: 'classes' must be numbers in 0 ... {}, each in one task only", where,
                                splits.info.outputs - 1));
  const auto each = static_cast<std::int64_t>(classes.front().size());
  for (const std::vector<std::int64_t>& own : classes) {
    const std::vector<std::int64_t>& answers = outputs == Outputs::all ? all : own;
    scenario.tasks.push_back(
        changed(splits, [&](const data::DatasetPtr& part) { return data::of_classes(part, own, answers); }));
  }
  const std::size_t names = outputs == Outputs::reused ? classes.front().size() : all.size();
  scenario.info.outputs = static_cast<std::int64_t>(names);
  scenario.info.classes.assign(names, "");
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::string& name = scenario.info.classes[i % names];
    name += (name.empty() ? "" : " or ") + splits.info.classes.at(static_cast<std::size_t>(all[i]));
  }
  if (outputs == Outputs::heads) scenario.heads = at::arange(scenario.info.outputs, at::kLong).view({-1, each});
  if (const std::int64_t left = splits.info.outputs - static_cast<std::int64_t>(all.size()); left > 0)
    scenario.notes.push_back(fmt::format("{} of {} classes are dropped: {} tasks get {} each", left,
                                         splits.info.outputs, classes.size(), each));
}

/// Draws a part of every task's training examples and distributes them at random over the places that they leave. A
/// task may get its own examples back.
void describe_mixing(Json& manifest, const Scenario& scenario, double blur, std::uint64_t seed) {
  std::vector<std::array<std::int64_t, 2>> pool;  // (task, row)
  std::vector<std::size_t> places;                // the task that each place belongs to
  for (std::size_t k = 0; k < scenario.tasks.size(); ++k) {
    Random random(stream_seed(seed, "blur", k));
    const std::int64_t n = scenario.tasks[k].train->size();
    const std::vector<std::int64_t> rows = permutation(n, random);
    for (std::int64_t i = 0; i < std::llround(blur * static_cast<double>(n)); ++i) {
      pool.push_back({static_cast<std::int64_t>(k), rows[static_cast<std::size_t>(i)]});
      places.push_back(k);
    }
  }
  for (Json& task : manifest["tasks"]) task["received"] = Json::array();
  Random random(stream_seed(seed, "blur"));
  const std::vector<std::int64_t> order = permutation(static_cast<std::int64_t>(pool.size()), random);
  for (std::size_t i = 0; i < pool.size(); ++i)
    if (const auto& example = pool[static_cast<std::size_t>(order[i])];
        example[0] != static_cast<std::int64_t>(places[i]))
      manifest["tasks"][places[i]]["received"].push_back(example);
}

/// Fills scenario.examples: each task's own, with those that other tasks receive exchanged for those that it receives.
void mix(Scenario& scenario, const std::string& where) {
  std::vector<std::vector<bool>> given;
  for (const Task& task : scenario.tasks) given.emplace_back(task.train->size());
  std::vector<std::vector<std::int64_t>> numbers(given.size());
  for (std::size_t k = 0; k < given.size(); ++k) {
    const Json& task = scenario.manifest["tasks"][k];
    if (!task.contains("received")) continue;
    const std::string place = fmt::format("{}: task {}", where, k + 1);
    for (const auto& [from, row] : field<std::vector<std::pair<std::size_t, std::size_t>>>(task, "received", place)) {
      if (from >= given.size() || from == k || row >= given[from].size() || given[from][row])
        throw DataError(
            fmt::format("{}: 'received' must contain examples of other tasks, each in one task only; got "
                        "[{}, {}]",
                        place, from, row));
      given[from][row] = true;
      numbers[k].insert(numbers[k].end(), {static_cast<std::int64_t>(from), static_cast<std::int64_t>(row)});
    }
  }
  for (std::size_t k = 0; k < given.size(); ++k) {
    for (std::size_t row = 0; row < given[k].size(); ++row)
      if (!given[k][row])
        numbers[k].insert(numbers[k].end(), {static_cast<std::int64_t>(k), static_cast<std::int64_t>(row)});
    scenario.examples.push_back(at::tensor(numbers[k], at::kLong).view({-1, 2}));
  }
}

/// Every task needs training examples, and examples of each other part that is not empty. While learning rates are
/// chosen there are no test examples.
void check_parts(const std::vector<Task>& tasks, const data::Splits& splits) {
  const auto holds = [](const data::DatasetPtr& part) { return part && part->size() > 0; };
  const auto check = [&](const data::DatasetPtr& whole, data::DatasetPtr Task::*part, const char* what) {
    for (std::size_t i = 0; i < tasks.size() && holds(whole); ++i)
      if (!holds(tasks[i].*part))
        throw UsageError(fmt::format("task {} of {} has no {} examples: use more examples", i + 1, splits.name, what));
  };
  check(splits.train, &Task::train, "training");
  check(splits.validation, &Task::validation, "validation");
  check(splits.test, &Task::test, "test");
}

}  // namespace

const std::vector<ScenarioRow>& scenarios() {
  static const std::vector<ScenarioRow> rows = {
      {"permuted", "each task permutes the inputs in a different way; the first task leaves them as they are", permuted,
       one_by_one<permuted_task>},
      {"all-permuted", "each task, also the first, permutes the inputs in a different way", all_permuted,
       one_by_one<permuted_task>},
      {"rotated", "each task rotates the images by a different angle, up to 180°; the first task leaves them upright",
       rotated, one_by_one<rotated_task>},
      {"all-rotated", "each task, also the first, rotates the images by an angle drawn from 0° to 180°", all_rotated,
       one_by_one<rotated_task>},
      {"split", "each task has its own classes and output units, and the network knows the task (task-incremental)",
       split, split_tasks<Outputs::heads>},
      {"class-incremental", "each task has its own classes; the network chooses among the classes of all tasks", split,
       split_tasks<Outputs::all>},
      {"domain-incremental",
       "each task has its own classes, which use the same output units; the network does not know the task", split,
       split_tasks<Outputs::reused>},
      {"mnist-360",
       "a stream without tasks: two of nine classes at a time, three times around, while the images turn by 360° "
       "(Buzzega et al. 2020); needs 27 tasks of one epoch",
       turning, turning_tasks},
  };
  return rows;
}

Json describe(const std::string& scenario, std::int64_t tasks, const data::Splits& splits, std::uint64_t seed,
              double blur) {
  const ScenarioRow& row = find_row(scenarios(), "scenario", scenario);
  if (splits.info.problem != data::ProblemKind::classification)
    throw UsageError("scenario", scenario + " needs classes; " + splits.name + " has no classes to learn");
  Json list = Json::array();
  for (std::int64_t task = 0; task < tasks; ++task) list.push_back(row.describe(splits.info, task, tasks, seed));
  Json manifest = {{"format", format},
                   {"scenario", scenario},
                   {"seed", seed},
                   {"data", splits.name},
                   {"fingerprint", splits.fingerprint},
                   {"input_shape", splits.info.input_shape},
                   {"classes", splits.info.classes},
                   {"train_rows", splits.train->size()},
                   {"tasks", list}};
  if (splits.validation_rows.defined()) {
    const at::Tensor rows = splits.validation_rows.contiguous();
    manifest["validation_rows"] =
        std::vector<std::int64_t>(rows.data_ptr<std::int64_t>(), rows.data_ptr<std::int64_t>() + rows.numel());
  }
  if (blur > 0) describe_mixing(manifest, make_scenario(manifest, splits, "scenario"), blur, seed);
  return manifest;
}

Scenario make_scenario(const Json& manifest, const data::Splits& splits, const std::string& where) {
  check(manifest, splits, where);
  Scenario scenario;
  scenario.info = splits.info;
  scenario.shuffle = splits.shuffle;
  scenario.manifest = manifest;
  const auto tasks = field<std::vector<Json>>(manifest, "tasks", where);
  if (tasks.size() < 2) throw DataError(where + ": 'tasks' must contain at least two tasks");
  const auto name = field<std::string>(manifest, "scenario", where);
  const auto row = std::find_if(scenarios().begin(), scenarios().end(), [&](const auto& r) { return r.name == name; });
  if (row == scenarios().end()) throw DataError(where + ": unknown scenario '" + name + "'");
  row->make(scenario, splits, where);
  check_parts(scenario.tasks, splits);
  mix(scenario, where);
  return scenario;
}

Json read_manifest(const std::string& path) {
  Json manifest = Json::parse(read_file(path), nullptr, false);
  if (manifest.is_discarded()) throw DataError(path + ": invalid JSON; expected a manifest of tasks");
  return manifest;
}

}  // namespace grapes::continual
