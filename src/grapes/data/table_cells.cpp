#include "grapes/data/table_cells.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/data/records.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace grapes::data {
namespace {

constexpr double no_value = std::numeric_limits<double>::quiet_NaN();

std::string place_of(const std::string& file, std::size_t line, const TableColumn& column) {
  return fmt::format("{}, line {}, column '{}'", file, line, column.name);
}

/// Returns the number of a text, which is added if it is new.
double number_of_text(TableColumn& column, std::string_view text, const std::string& file, std::size_t line) {
  auto found = column.texts.find(text);
  if (found == column.texts.end()) {
    if (column.closed) {
      std::vector<std::string_view> known;
      for (const auto& [name, number] : column.texts) known.push_back(name);
      throw DataError(fmt::format("{}: '{}' did not occur in the training data; known texts: {}",
                                  place_of(file, line, column), text, fmt::join(known, ", ")));
    }
    found = column.texts.emplace(text, column.texts.size()).first;
  }
  return static_cast<double>(found->second);
}

/// Removes white space at both ends, of which most cells have none.
std::string_view bare(std::string_view cell) {
  return !cell.empty() && cell.front() > ' ' && cell.back() > ' ' ? cell : trim(cell);
}

double number_in(const TableColumn& column, std::string_view text, const NumberStyle& style, const std::string& file,
                 std::size_t line) {
  const std::optional<double> number = style(text);
  if (!number)
    throw DataError(
        fmt::format("{}: '{}' is not a number; if the column has no numbers, leave it out with the option ignore",
                    place_of(file, line, column), text));
  if (!std::isfinite(static_cast<float>(*number)))
    throw DataError(fmt::format("{}: '{}' is not a finite number in float32", place_of(file, line, column), text));
  return *number;
}

}  // namespace

TableCells read_cells(std::string_view text, const Dialect& dialect, std::vector<TableColumn> columns,
                      const std::string& file) {
  TableCells cells;
  cells.columns = std::move(columns);
  cells.input_columns = static_cast<std::size_t>(
      std::count_if(cells.columns.begin(), cells.columns.end(), [](const TableColumn& one) { return !one.target; }));
  const std::size_t width = dialect.names.size();
  Records records(text, file, dialect.delimiter, dialect.comment, /*blanks=*/width == 1);
  std::vector<char> numeric(width, true);  // one that two columns read, as inputs and as target, too
  for (const TableColumn& column : cells.columns) numeric[column.number] = numeric[column.number] && !column.text;
  std::vector<Field> fields;
  if (dialect.header) records.next(fields, {}, dialect.numbers);
  const auto make_room = [&] {
    const double each = static_cast<double>(records.position()) / static_cast<double>(cells.rows);
    const auto expected = static_cast<std::size_t>(1.05 * static_cast<double>(text.size()) / each) + 1;
    cells.inputs.reserve(expected * cells.input_columns);
    cells.targets.reserve(expected * (cells.columns.size() - cells.input_columns));
  };
  const auto value_of = [&](TableColumn& column, std::string_view cell) {
    if (is_missing(cell)) {
      ++column.missing;
      if (cells.first_missing.empty()) cells.first_missing = place_of(file, records.line(), column);
      return no_value;
    }
    if (column.text) return number_of_text(column, cell, file, records.line());
    return number_in(column, cell, dialect.numbers, file, records.line());
  };
  std::vector<std::size_t> inputs, targets;  // where a record has them
  for (const TableColumn& column : cells.columns) (column.target ? targets : inputs).push_back(column.number);
  while (records.next(fields, numeric, dialect.numbers)) {
    if (dialect.trailing && fields.size() == width + 1 && trim(fields.back().text).empty()) fields.pop_back();
    if (fields.size() != width)
      throw DataError(fmt::format("{}, line {}: {} fields, expected {} (one per column)", file, records.line(),
                                  fields.size(), width));
    bool whole = true;
    const auto number_in_column = [&](std::size_t number, std::size_t column) {
      const Field& field = fields[number];
      if (field.is_number) return field.number;
      const double value = value_of(cells.columns[column], bare(field.text));
      whole = whole && !std::isnan(value);
      return value;
    };
    cells.inputs.resize(cells.inputs.size() + inputs.size());
    float* const row = cells.inputs.data() + cells.rows * inputs.size();
    for (std::size_t i = 0; i < inputs.size(); ++i) row[i] = static_cast<float>(number_in_column(inputs[i], i));
    for (std::size_t i = 0; i < targets.size(); ++i)
      cells.targets.push_back(number_in_column(targets[i], inputs.size() + i));
    cells.rows_missing += !whole;
    if (++cells.rows == 100) make_room();
  }
  if (cells.rows == 0) throw DataError(file + ": no rows" + (dialect.header ? " after the names of the columns" : ""));
  return cells;
}

}  // namespace grapes::data
