#pragma once

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace grapes {

// Grapes is extended by tables: a row defines what the command line, the documents and the property tests use. A table
// is any range of rows with a member `name`.

/// Returns the row called `name`, or null.
template <class Rows>
const auto* row_called(const Rows& rows, std::string_view name) {
  for (const auto& row : rows)
    if (row.name == name) return &row;
  return static_cast<decltype(&*std::begin(rows))>(nullptr);
}

/// Returns a message with the unknown name, the nearest name, and all available names.
template <class Rows>
std::string unknown_row(const Rows& rows, std::string_view kind, std::string_view name) {
  std::vector<std::string> names;
  for (const auto& row : rows) names.emplace_back(row.name);
  return fmt::format("unknown {} '{}'{}; available: {}", kind, name, did_you_mean(name, names), fmt::join(names, ", "));
}

/// Returns the row called `name`.
/// @throws UsageError with the message of unknown_row()
template <class Rows>
const auto& find_row(const Rows& rows, std::string_view kind, std::string_view name) {
  const auto* row = row_called(rows, name);
  if (row == nullptr) throw UsageError(unknown_row(rows, kind, name));
  return *row;
}

}  // namespace grapes
