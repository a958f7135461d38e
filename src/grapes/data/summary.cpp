#include "grapes/data/summary.h"

#include "grapes/base/text.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace grapes::data {
namespace {

using Row = std::vector<std::string>;

std::string rounded(double value) { return fmt::format("{:.4g}", value); }

struct NamedPart {
  const char* name;
  const Dataset* set;
};

std::vector<Row> class_rows(const DatasetInfo& info, const std::vector<NamedPart>& parts) {
  std::vector<Row> rows = {{"class"}};
  for (const std::string& name : info.classes) rows.push_back({name});
  rows.push_back({"all"});
  for (const auto& [name, set] : parts) {
    const at::Tensor counts = at::bincount(set->targets(), {}, info.outputs);
    rows[0].emplace_back(name);
    for (std::int64_t c = 0; c < info.outputs; ++c) {
      rows[static_cast<std::size_t>(c) + 1].push_back(std::to_string(counts[c].item<std::int64_t>()));
    }
    rows.back().push_back(std::to_string(set->size()));
  }
  return rows;
}

std::vector<Row> target_rows(const DatasetInfo& info, const std::vector<NamedPart>& parts) {
  std::vector<Row> rows = {{"target", "part", "examples", "mean", "sd", "smallest", "largest"}};
  for (std::int64_t i = 0; i < info.outputs; ++i) {
    for (const auto& [name, set] : parts) {
      if (set->size() == 0) continue;
      const at::Tensor values = set->targets().select(1, i).to(at::kDouble);
      rows.push_back({info.classes[static_cast<std::size_t>(i)], name, std::to_string(set->size()),
                      rounded(values.mean().item<double>()), rounded(values.std(false).item<double>()),
                      rounded(values.min().item<double>()), rounded(values.max().item<double>())});
    }
  }
  return rows;
}

/// Counts of one pass over the inputs.
struct Counted {
  float low = std::numeric_limits<float>::max(), high = std::numeric_limits<float>::lowest();
  std::int64_t steps = 0;
  double bits = 0;  ///< of a prediction: number of bits that are on, over all steps
};

Counted count(const Dataset& set) {
  constexpr std::int64_t piece = 256;  // a recording has a hundred times as many numbers as an image
  Counted counted;
  for (std::int64_t begin = 0; begin < set.size(); begin += piece) {
    const Batch batch = set.get(at::arange(begin, std::min(begin + piece, set.size()), at::kLong));
    counted.low = std::min(counted.low, batch.inputs.min().item<float>());
    counted.high = std::max(counted.high, batch.inputs.max().item<float>());
    if (!batch.present.defined()) continue;
    counted.steps += batch.present.sum().item<std::int64_t>();
    counted.bits += batch.targets.sum().item<double>();
  }
  return counted;
}

/// For predictions: number and length of the sequences, and number of bits that are on.
std::vector<Row> step_rows(const std::vector<NamedPart>& parts) {
  std::vector<Row> rows = {{"part", "sequences", "steps", "bits on in a step"}};
  for (const auto& [name, set] : parts) {
    if (set->size() == 0) continue;
    const Counted counted = count(*set);
    rows.push_back({name, std::to_string(set->size()), std::to_string(counted.steps),
                    rounded(counted.bits / static_cast<double>(counted.steps))});
  }
  return rows;
}

}  // namespace

std::string summary(const Splits& splits) {
  const DatasetInfo& info = splits.info;
  const std::vector<NamedPart> parts = {
      {"train", splits.train.get()}, {"validation", splits.validation.get()}, {"test", splits.test.get()}};
  const char* kind = "classification";
  const char* asked = "classes";
  std::vector<Row> rows;
  if (info.problem == ProblemKind::classification) {
    rows = class_rows(info, parts);
  } else if (info.problem == ProblemKind::prediction) {
    kind = "prediction";
    asked = "bits at every step";
    rows = step_rows(parts);
  } else {
    kind = "regression";
    asked = info.outputs == 1 ? "target" : "targets";
    rows = target_rows(info, parts);
  }
  const Counted counted = count(*splits.train_plain);
  std::string text =
      fmt::format("{}: {}, {} {} from {} to {}, {} {}\n", splits.name, kind,
                  info.sequence ? "sequences, inputs per time step" : "inputs", fmt::join(info.input_shape, " x "),
                  rounded(counted.low), rounded(counted.high), info.outputs, asked);
  for (Row& row : rows) row[0].insert(0, "  ");
  text += columns(rows, "lr");
  for (const std::string& note : splits.notes) text += fmt::format("  note: {}\n", note);
  return text;
}

}  // namespace grapes::data
