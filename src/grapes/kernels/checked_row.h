#pragma once

#include "grapes/base/table.h"

#include <c10/util/Exception.h>

namespace grapes {

/// find_row() where users of the library can name the row: LibTorch's own family of errors.
/// @throws c10::ValueError as unknown_row() says it
template <class Rows>
const auto& checked_row(const Rows& rows, std::string_view kind, std::string_view name) {
  const auto* row = row_called(rows, name);
  TORCH_CHECK_VALUE(row != nullptr, unknown_row(rows, kind, name));
  return *row;
}

}  // namespace grapes
