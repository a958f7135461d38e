#pragma once

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace grapes {

// Tables are how Grapes is extended: a row drives the command line, the documents and the law tests. A table is any
// range of rows with a member `name`.

/// The row called `name`, or null.
template <class Rows>
const auto* row_called(const Rows& rows, std::string_view name) {
  for (const auto& row : rows)
    if (row.name == name) return &row;
  return static_cast<decltype(&*std::begin(rows))>(nullptr);
}

/// What kind of thing is unknown, the nearest name, and all names there are.
template <class Rows>
std::string unknown_row(const Rows& rows, std::string_view kind, std::string_view name) {
  std::vector<std::string> names;
  for (const auto& row : rows) names.emplace_back(row.name);
  return fmt::format("unknown {} '{}'{}; available: {}", kind, name, did_you_mean(name, names), fmt::join(names, ", "));
}

/// The row called `name`.
/// @throws UsageError as unknown_row() says it
template <class Rows>
const auto& find_row(const Rows& rows, std::string_view kind, std::string_view name) {
  const auto* row = row_called(rows, name);
  if (row == nullptr) throw UsageError(unknown_row(rows, kind, name));
  return *row;
}

}  // namespace grapes
