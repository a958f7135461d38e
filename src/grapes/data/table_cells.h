#pragma once

#include "grapes/data/dialect.h"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace grapes::data {

/// A column of a table as it was read.
struct TableColumn {
  std::size_t number = 0;  ///< from 0
  std::string name = {};
  bool text = false;
  std::map<std::string, std::size_t, std::less<>> texts = {};  ///< of a text column -> number of the text
  bool closed = false;      ///< another text is an error, because the model does not know it
  std::size_t missing = 0;  ///< number of cells without a value
};

/// Some columns of a table. A cell is a number, or the number of its text; a cell without a value is NaN.
struct TableCells {
  std::vector<TableColumn> columns;
  std::vector<double> values;  ///< [rows, columns]
  std::size_t rows = 0;
  std::size_t rows_missing = 0;    ///< number of rows with a missing value
  std::string first_missing = {};  ///< "FILE, line 3, column 'a'", or ""

  double at(std::size_t row, std::size_t column) const { return values[row * columns.size() + column]; }
};

/// Reads the chosen columns of a table in one pass.
/// @throws DataError with line and column
TableCells read_cells(std::string_view text, const Dialect& dialect, std::vector<TableColumn> columns,
                      const std::string& file);

}  // namespace grapes::data
