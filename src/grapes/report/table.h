#pragma once

#include "grapes/report/summary.h"

#include <functional>
#include <string>
#include <vector>

/// The tables of a comparison, once for the terminal and the page.
namespace grapes::report {

using Rows = std::vector<std::vector<std::string>>;

/// A column of the table of one condition, whose rows are arms.
struct Column {
  std::string name;
  std::string meaning;  ///< one line, for the page
  std::function<std::string(const Arm&)> cell;
  std::function<std::string(const Arm&)> detail = {};  ///< a second line, for the page
};
std::vector<Column> columns_of(const Summary& summary, const Condition& condition);

/// Of a sweep: a column a value. The first row and the first column are headings.
struct SweepTable {
  std::string title;
  Rows rows;
};
/// Scores, differences, their changes since the first value, learning rates.
std::vector<SweepTable> sweep_tables(const Summary& summary);

/// What a terminal shows, at most 100 columns wide.
std::string table(const Summary& summary);

}  // namespace grapes::report
