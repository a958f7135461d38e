#include "grapes/data/targets.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <utility>

namespace grapes::data {
namespace {

/// Number the classes in the order of their keys.
template <class Key, class Name>
void set_classes(Collection& collection, const std::vector<Key>& labels, Name name) {
  std::map<Key, std::int64_t> number;
  for (const Key& label : labels) number.emplace(label, 0);
  if (number.size() < 2) {
    throw DataError(collection.name + ": all " + std::to_string(labels.size()) +
                    " examples are of one class, expected at least two classes");
  }
  DatasetInfo& info = collection.info;
  info.problem = ProblemKind::classification;
  info.outputs = static_cast<std::int64_t>(number.size());
  info.classes.clear();
  std::int64_t next = 0;
  for (auto& [label, value] : number) {
    value = next++;
    info.classes.push_back(name(label));
  }
  std::vector<std::int64_t> targets;
  targets.reserve(labels.size());
  for (const Key& label : labels) targets.push_back(number.at(label));
  collection.train.targets = at::tensor(targets, at::kLong);
}

bool looks_like_classes(const at::Tensor& values) {
  if (values.size(1) != 1 || !at::equal(values, values.round())) return false;
  const std::int64_t different = std::get<0>(at::_unique(values)).numel();
  return different <= 100 && 2 * different <= values.size(0);
}

}  // namespace

void number_targets(Collection& collection, const at::Tensor& values, const std::vector<std::string>& names,
                    const std::string& asked) {
  const bool classes = asked == "classes" || (asked == "auto" && looks_like_classes(values));
  if (!classes) {
    collection.info.problem = ProblemKind::regression;
    collection.info.outputs = values.size(1);
    collection.info.classes = names;
    collection.train.targets = values.to(at::kFloat);
    if (asked == "auto") collection.notes.emplace_back("the targets are numbers: read as regression");
    return;
  }
  if (values.size(1) != 1) {
    throw DataError(collection.name + ": " + std::to_string(values.size(1)) +
                    " target columns, expected one for classes");
  }
  const at::Tensor column = values.contiguous();
  const auto* first = column.data_ptr<double>();
  set_classes(collection, std::vector<double>(first, first + column.numel()), shortest);
  if (asked == "auto") {
    collection.notes.push_back("the targets are " + std::to_string(collection.info.outputs) +
                               " different whole numbers: read as classes (--targets numbers reads them as numbers)");
  }
}

void text_targets(Collection& collection, const std::vector<std::string>& labels, const std::string& asked) {
  if (asked == "numbers") {
    throw DataError(collection.name + ": the targets are texts like '" + labels.front() + "', expected numbers");
  }
  set_classes(collection, labels, [](const std::string& label) { return label; });
}

}  // namespace grapes::data
