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
  bool target = false;
  std::map<std::string, std::size_t, std::less<>> texts = {};  ///< of a text column -> number of the text
  bool closed = false;      ///< another text is an error, because the model does not know it
  std::size_t missing = 0;  ///< number of cells without a value
};

/// Some columns of a table, those of inputs before those of targets. A cell is a number, or the number of its text; a
/// cell without a value is NaN.
struct TableCells {
  std::vector<TableColumn> columns;
  std::size_t input_columns = 0;
  std::vector<float> inputs;    ///< [rows, input_columns]
  std::vector<double> targets;  ///< [rows, other columns], exact for whole numbers that a float rounds
  std::size_t rows = 0;
  std::size_t rows_missing = 0;    ///< number of rows with a missing value
  std::string first_missing = {};  ///< "FILE, line 3, column 'a'", or ""

  double at(std::size_t row, std::size_t column) const {
    return column < input_columns ? inputs[row * input_columns + column]
                                  : targets[row * (columns.size() - input_columns) + column - input_columns];
  }
};

/// Reads the chosen columns of a table in one pass.
/// @throws DataError with line and column
TableCells read_cells(std::string_view text, const Dialect& dialect, std::vector<TableColumn> columns,
                      const std::string& file);

}  // namespace grapes::data
