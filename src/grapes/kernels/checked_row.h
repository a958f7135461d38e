#pragma once

#include "grapes/base/table.h"

#include <c10/util/Exception.h>

namespace grapes {

/// find_row() for names that users of the library pass: throws LibTorch's own errors.
/// @throws c10::ValueError with the message of unknown_row()
template <class Rows>
const auto& checked_row(const Rows& rows, std::string_view kind, std::string_view name) {
  const auto* row = row_called(rows, name);
  TORCH_CHECK_VALUE(row != nullptr, unknown_row(rows, kind, name));
  return *row;
}

}  // namespace grapes
