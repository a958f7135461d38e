#pragma once

#include "grapes/data/collection.h"
#include "grapes/data/dialect.h"
#include "grapes/data/targets.h"

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>

namespace grapes::data {

/// How to read a table. Columns are named, or numbered from 1; FROM-TO is a range of numbers.
struct TableOptions {
  DialectOptions dialect;
  std::string encoding = "auto";
  std::string target;   ///< columns separated by commas; "": label, class, target or y (in any case), else the last
  std::string ignore;   ///< columns that are not inputs
  std::string columns;  ///< the inputs; "": all columns but the targets, `ignore`, and a column that numbers the rows
  Missing missing = Missing::error;
};

/// Whether a file is read as a table: .csv, .tsv, .tab, .data, .dat or .txt, also with .gz or .xz.
bool is_table(const std::filesystem::path& path);

/// Reads a table with target columns. A text column with at most 64 different texts becomes one 0/1 input per text.
/// Missing values are NaN where options.missing fills them.
/// @param known  what a model was trained on, or null: its columns are found by name in any order, others are ignored,
///   and classes have its numbers
/// @throws UsageError for a setting that names a column that the file lacks; DataError with line and column for a text
///   among numbers; with counts by column for missing values; for a column or class of `known` that does not match
Collection read_table(const std::filesystem::path& path, const TableOptions& options, TargetReading asked,
                      const DatasetInfo* known = nullptr);

/// Reads inputs for a model that was trained on a table. Columns are found by name, others are ignored. In a file
/// without a header they are found by position: the inputs alone, or all columns as in a training file without a
/// header.
/// @return [rows, inputs] float32; missing values are those of info.fill
/// @throws DataError for a missing column, a text that is not in the training data, or a missing value without a fill
at::Tensor table_inputs(const std::filesystem::path& path, const TableOptions& options, const DatasetInfo& info);

}  // namespace grapes::data
