#include "grapes/data/targets.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <ATen/ops/_unique.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <map>

namespace grapes::data {
namespace {

/// Classes, numbered in the order of the labels.
template <class Label, class Name>
Targets classes_of(const std::vector<Label>& labels, const std::string& where, Name name) {
  std::map<Label, std::int64_t> number;
  for (const Label& label : labels) number.emplace(label, 0);
  if (number.size() < 2)
    throw DataError(
        fmt::format("{}: all {} examples have the same class, expected at least two classes", where, labels.size()));
  std::vector<std::string> names;
  for (auto& [label, value] : number) {
    value = static_cast<std::int64_t>(names.size());
    names.push_back(name(label));
  }
  std::vector<std::int64_t> targets;
  targets.reserve(labels.size());
  for (const Label& label : labels) targets.push_back(number.at(label));
  return {ProblemKind::classification, at::tensor(targets, at::kLong), names};
}

bool looks_like_classes(const at::Tensor& values) {
  if (values.size(1) != 1 || !at::equal(values, values.round())) return false;
  const std::int64_t different = std::get<0>(at::_unique(values)).numel();
  return different <= 100 && 2 * different <= values.size(0);
}

}  // namespace

Targets number_targets(const at::Tensor& values, const std::vector<std::string>& names, TargetReading asked,
                       const std::string& where) {
  const bool guess = asked == TargetReading::automatic;
  if (asked == TargetReading::numbers || (guess && !looks_like_classes(values))) {
    return {ProblemKind::regression, values.to(at::kFloat), names,
            guess ? "the targets are numbers: read as regression" : ""};
  }
  if (values.size(1) != 1)
    throw DataError(fmt::format("{}: {} target columns, expected one for classes", where, values.size(1)));
  const at::Tensor column = values.contiguous();
  const auto* first = column.data_ptr<double>();
  Targets targets = classes_of(std::vector<double>(first, first + column.numel()), where, shortest);
  if (guess)
    targets.note = fmt::format(
        "the targets are {} different whole numbers: read as classes; set targets to numbers for regression",
        targets.names.size());
  return targets;
}

Targets text_targets(const std::vector<std::string>& labels, TargetReading asked, const std::string& where) {
  if (asked == TargetReading::numbers)
    throw DataError(fmt::format("{}: the targets are texts like '{}', expected numbers", where, labels.front()));
  return classes_of(labels, where, [](const std::string& label) { return label; });
}

}  // namespace grapes::data
