#pragma once

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace grapes {

/// The row called `name` in a table (any range of rows with a member `name`). Tables are how Grapes is extended: a row
/// drives the command line, the documents and the law tests.
/// @throws UsageError: what kind of thing is unknown, the nearest name, and all names there are
template <class Rows>
const auto& find_row(const Rows& rows, std::string_view kind, std::string_view name) {
  std::vector<std::string> names;
  for (const auto& row : rows) {
    if (row.name == name) return row;
    names.emplace_back(row.name);
  }
  throw UsageError(
      fmt::format("unknown {} '{}'{}; there are: {}", kind, name, did_you_mean(name, names), fmt::join(names, ", ")));
}

}  // namespace grapes
