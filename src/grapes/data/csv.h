#pragma once

#include "grapes/data/collection.h"
#include "grapes/data/targets.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace grapes::data {

/// A table as text by RFC 4180: fields are separated by commas. Fields that contain a comma, a line end or a quote are
/// quoted with ", and the quote is doubled. The first line has the names of the columns, which must be unique and not
/// empty.
class CsvTable {
 public:
  /// @param header  names of the columns, if the file starts with its first row; else empty
  /// @throws DataError with the line: an open quote, a row of the wrong length, no rows, ...
  CsvTable(std::string text, std::string file, std::vector<std::string> header = {});
  CsvTable(const CsvTable&) = delete;
  CsvTable& operator=(const CsvTable&) = delete;

  const std::string& file() const { return file_; }
  const std::vector<std::string>& header() const { return header_; }
  std::size_t rows() const { return lines_.size(); }
  std::string_view cell(std::size_t row, std::size_t column) const { return cells_[row * header_.size() + column]; }
  /// Line of the file where a row begins, from 1.
  std::size_t line(std::size_t row) const { return lines_[row]; }

 private:
  void read_header(const std::vector<std::string_view>& names);

  std::string text_;
  std::string file_;
  std::vector<std::string> header_;
  std::vector<std::string_view> cells_;  // into text_, or into unquoted_ if a doubled quote was replaced
  std::vector<std::size_t> lines_;
  std::deque<std::string> unquoted_;
};

/// Reads a table with target columns. A text column with at most 64 different texts becomes one 0/1 input per text. A
/// missing value, or a text among numbers, is an error with line and column.
/// @param label_columns  names separated by commas; "": label, class, target or y (in any case), else the last column
/// @throws UsageError for the setting "label_column" if the file lacks that column, DataError for other errors in the
///   file
Collection read_csv(const std::filesystem::path& path, const std::string& label_columns, TargetReading asked);

/// Reads inputs for a model that was trained on a table. Columns are found by name; others are ignored. A file of
/// numbers without a header is read by position.
/// @return [rows, inputs] float32
/// @throws DataError for a missing column, or a text that is not in the training data
at::Tensor csv_inputs(const std::filesystem::path& path, const DatasetInfo& info);

}  // namespace grapes::data
