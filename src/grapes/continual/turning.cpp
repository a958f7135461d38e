#include "grapes/continual/turning.h"

#include "grapes/continual/manifest.h"
#include "grapes/data/transform.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

namespace grapes::continual {
using record::Json;
namespace {

constexpr std::int64_t used = 9, rounds = 3, parts = 2 * rounds;

/// Some examples, each with its angle.
struct Turned {
  std::vector<std::int64_t> rows;
  std::vector<double> degrees;

  data::DatasetPtr of(const data::DatasetPtr& whole, const data::Normalization& normalization) const {
    return data::rotated(data::subset(whole, at::tensor(rows, at::kLong)), at::tensor(degrees, at::kDouble),
                         normalization);
  }
};

/// The rows of each class, in the order of the file.
using RowsByClass = std::vector<std::vector<std::int64_t>>;
RowsByClass rows_by_class(const data::Dataset& whole) {
  RowsByClass rows(used);
  const at::Tensor targets = whole.targets().contiguous();
  const auto* target = targets.data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < whole.size(); ++row) rows.at(static_cast<std::size_t>(target[row])).push_back(row);
  return rows;
}

Turned training(const RowsByClass& rows, const std::vector<std::int64_t>& classes,
                const std::vector<std::int64_t>& own_parts) {
  std::vector<std::tuple<double, std::int64_t, double>> stream;  // place in the task, row, degrees
  for (std::size_t k = 0; k < 2; ++k) {
    const std::vector<std::int64_t>& all = rows[static_cast<std::size_t>(classes[k])];
    const auto n = static_cast<std::int64_t>(all.size());
    const std::int64_t begin = n * own_parts[k] / parts, end = n * (own_parts[k] + 1) / parts;
    for (std::int64_t i = begin; i < end; ++i)
      stream.emplace_back(
          (static_cast<double>(i - begin) + 0.5) / static_cast<double>(end - begin), all[static_cast<std::size_t>(i)],
          60.0 * static_cast<double>(classes[k] - 1) + 360.0 * static_cast<double>(i) / static_cast<double>(n));
  }
  std::stable_sort(stream.begin(), stream.end(),
                   [](const auto& a, const auto& b) { return std::get<0>(a) < std::get<0>(b); });
  Turned turned;
  for (const auto& [place, row, degrees] : stream) {
    turned.rows.push_back(row);
    turned.degrees.push_back(degrees);
  }
  return turned;
}

Turned evaluation(const RowsByClass& rows, std::int64_t task, std::int64_t tasks) {
  Turned turned;
  for (std::int64_t c = 0; c < used; ++c) {
    const std::vector<std::int64_t>& all = rows[static_cast<std::size_t>(c)];
    for (std::size_t i = 0; i < all.size(); ++i) {
      if ((static_cast<std::int64_t>(i) + rounds * c) % tasks != task) continue;
      turned.rows.push_back(all[i]);
      turned.degrees.push_back(360 * static_cast<double>(i) / static_cast<double>(all.size()));
    }
  }
  return turned;
}

}  // namespace

Json turning(const data::DatasetInfo& info, std::int64_t task, std::int64_t tasks, std::uint64_t) {
  if (tasks != rounds * used)
    throw UsageError("tasks", fmt::format("must be {} in mnist-360, three times nine pairs of classes; got {}",
                                          rounds * used, tasks));
  if (info.outputs < used || info.input_shape.size() != 3 || info.sequence)
    throw UsageError("scenario", "mnist-360 needs images of at least nine classes");
  const std::int64_t round = task / used, first = task % used, second = (first + 1) % used;
  // Within a round, class 0 comes first with 1 and then with 8; the others come first as the second of their pair.
  const std::int64_t of_first = 2 * round + (first == 0 ? 0 : 1), of_second = 2 * round + (second == 0 ? 1 : 0);
  return {{"classes", {first, second}}, {"parts", {of_first, of_second}}};
}

void turning_tasks(Scenario& scenario, const data::Splits& splits, const std::string& where) {
  std::vector<std::int64_t> kept(used);
  std::iota(kept.begin(), kept.end(), 0);
  const Task whole = changed(splits, [&](const data::DatasetPtr& part) { return data::of_classes(part, kept, kept); });
  const std::vector<Json>& tasks = scenario.manifest["tasks"];
  const auto count = static_cast<std::int64_t>(tasks.size());
  const auto by_class = [](const data::DatasetPtr& part) { return part ? rows_by_class(*part) : RowsByClass(); };
  const RowsByClass train_rows = by_class(whole.train), validation_rows = by_class(whole.validation),
                    test_rows = by_class(whole.test);
  for (std::int64_t t = 0; t < count; ++t) {
    const std::string place = fmt::format("{}: task {}", where, t + 1);
    const Json& own = tasks[static_cast<std::size_t>(t)];
    const auto classes = field<std::vector<std::int64_t>>(own, "classes", place),
               own_parts = field<std::vector<std::int64_t>>(own, "parts", place);
    const auto within = [](const std::vector<std::int64_t>& two, std::int64_t end) {
      return two.size() == 2 && std::all_of(two.begin(), two.end(), [&](auto x) { return x >= 0 && x < end; });
    };
    if (!within(classes, used) || !within(own_parts, parts))
      throw DataError(fmt::format("{}: expected two 'classes' from 0 to {} and two 'parts' from 0 to {}", place,
                                  used - 1, parts - 1));
    const Turned train = training(train_rows, classes, own_parts);
    Task task;
    task.train = train.of(whole.train, splits.normalization);
    task.plain = whole.plain == whole.train ? task.train : train.of(whole.plain, splits.normalization);
    if (whole.validation)
      task.validation = evaluation(validation_rows, t, count).of(whole.validation, splits.normalization);
    if (whole.test) task.test = evaluation(test_rows, t, count).of(whole.test, splits.normalization);
    scenario.tasks.push_back(std::move(task));
  }
  scenario.shuffle = false;
  scenario.info.outputs = used;
  scenario.info.classes.resize(used);
  if (splits.info.outputs > used)
    scenario.notes.push_back(
        fmt::format("class {} is not used: turned by half, a 6 is a 9",
                    fmt::join(splits.info.classes.begin() + used, splits.info.classes.end(), ", ")));
}

}  // namespace grapes::continual
