#include "grapes/base/columns.h"
#include "grapes/base/text.h"
#include "grapes/data/open.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iomanip>
#include <limits>
#include <sstream>
#include <utility>

namespace grapes::data {
namespace {

using Row = std::vector<std::string>;

/// An indented table: names to the left, numbers to the right.
std::string table_text(std::vector<Row> rows) {
  for (Row& row : rows) row[0] = "  " + row[0];
  return columns(rows, "lr");
}

std::string rounded(double value) {
  std::ostringstream text;
  text << std::setprecision(4) << value;
  return text.str();
}

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

/// Of sequences whose every step is asked for: how many, how long, how many bits are on.
std::vector<Row> step_rows(const std::vector<NamedPart>& parts) {
  std::vector<Row> rows = {{"part", "sequences", "steps", "bits on in a step"}};
  for (const auto& [name, set] : parts) {
    if (set->size() == 0) continue;
    const at::Tensor bits = set->targets();
    rows.push_back(
        {name, std::to_string(set->size()), std::to_string(bits.size(0)), rounded(bits.sum(1).mean().item<double>())});
  }
  return rows;
}

std::pair<float, float> range(const Dataset& set) {
  constexpr std::int64_t piece = 256;  // a recording has a hundred times a picture's numbers
  float low = std::numeric_limits<float>::max(), high = std::numeric_limits<float>::lowest();
  for (std::int64_t begin = 0; begin < set.size(); begin += piece) {
    const at::Tensor inputs = set.get(at::arange(begin, std::min(begin + piece, set.size()), at::kLong)).inputs;
    low = std::min(low, inputs.min().item<float>());
    high = std::max(high, inputs.max().item<float>());
  }
  return {low, high};
}

}  // namespace

std::string summary(const Splits& splits) {
  const DatasetInfo& info = splits.info;
  const bool classes = info.problem == ProblemKind::classification, steps = info.problem == ProblemKind::prediction;
  std::vector<std::string> shape;
  for (const std::int64_t size : info.input_shape) shape.push_back(std::to_string(size));
  const auto [low, high] = range(*splits.train_plain);

  std::ostringstream text;
  text << splits.name << ": "
       << (classes ? "classification"
           : steps ? "prediction"
                   : "regression")
       << (info.sequence ? ", sequences, inputs of a step " : ", inputs ") << join(shape, " x ") << " from "
       << rounded(low) << " to " << rounded(high) << ", " << info.outputs
       << (classes             ? " classes"
           : steps             ? " bits at every step"
           : info.outputs == 1 ? " target"
                               : " targets")
       << '\n';
  const std::vector<NamedPart> parts = {
      {"train", splits.train.get()}, {"validation", splits.validation.get()}, {"test", splits.test.get()}};
  text << table_text(classes ? class_rows(info, parts) : steps ? step_rows(parts) : target_rows(info, parts));
  for (const std::string& note : splits.notes) text << "  note: " << note << '\n';
  return text.str();
}

}  // namespace grapes::data
