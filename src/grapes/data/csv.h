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

/// A table as text: RFC 4180 (fields between commas; quoted with " where they hold a comma, a line end or a quote,
/// which is then doubled). Its first line has the names of the columns, all there and all different.
class CsvTable {
 public:
  /// @param header  the names of the columns, for a file that begins with its first row; else none
  /// @throws DataError that names the line: an open quote, a row of the wrong length, no rows, ...
  CsvTable(std::string text, std::string file, std::vector<std::string> header = {});
  CsvTable(const CsvTable&) = delete;
  CsvTable& operator=(const CsvTable&) = delete;

  const std::string& file() const { return file_; }
  const std::vector<std::string>& header() const { return header_; }
  std::size_t rows() const { return lines_.size(); }
  std::string_view cell(std::size_t row, std::size_t column) const { return cells_[row * header_.size() + column]; }
  /// Of the file, from 1, where a row begins.
  std::size_t line(std::size_t row) const { return lines_[row]; }

 private:
  void read_header(const std::vector<std::string_view>& names);

  std::string text_;
  std::string file_;
  std::vector<std::string> header_;
  std::vector<std::string_view> cells_;  // into text_, or into unquoted_ where a quote had to be undone
  std::vector<std::size_t> lines_;
  std::deque<std::string> unquoted_;
};

/// A table with target column(s). A column whose cells are all texts (at most 64 different ones) becomes one 0/1 input
/// per text; a missing value, or a text among numbers, is refused by line and column.
/// @param label_columns  names between commas; "": label, class, target or y (in any case), else the last column
/// @throws UsageError of the field "label_column" if the file lacks that column, DataError for the file
Collection read_csv(const std::filesystem::path& path, const std::string& label_columns, TargetReading asked);

/// The inputs of a table for a model that was trained on one: columns are found by name, others left aside. A file of
/// numbers only, without a header, is read by position.
/// @return [rows, inputs] float32
/// @throws DataError for a column that is missing, or a text that the training data did not have
at::Tensor csv_inputs(const std::filesystem::path& path, const DatasetInfo& info);

}  // namespace grapes::data
