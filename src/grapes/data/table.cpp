#include "grapes/data/table.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/data/encoding.h"
#include "grapes/data/fill.h"
#include "grapes/data/table_cells.h"
#include "grapes/data/unpack.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <c10/util/accumulate.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace grapes::data {
namespace {

/// The text of a table and how it is written.
struct TableText {
  std::string file;
  UnpackedFile content;
  DecodedText decoded;
  Dialect dialect;
  std::string found;  ///< one line for people

  TableText(const std::filesystem::path& path, const TableOptions& options)
      : file(path.string()),
        content(open_unpacked(path)),
        decoded(decode(content.bytes, options.encoding, file)),
        dialect(find_dialect(decoded.text, options.dialect, file)),
        found(fmt::format("{}, {}", dialect.describe(), decoded.encoding)) {}
};

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// Returns the columns that a setting names: "price, 3, 5-8".
std::vector<std::size_t> chosen(const std::string& list, const char* setting, const TableText& table) {
  const std::vector<std::string>& names = table.dialect.names;
  const auto by_number = [&](std::string_view text) -> std::optional<std::size_t> {
    const std::optional<long long> number = to_integer(trim(text));
    if (!number || *number < 1 || *number > static_cast<long long>(names.size())) return std::nullopt;
    return static_cast<std::size_t>(*number - 1);
  };
  std::vector<std::size_t> columns;
  if (list.empty()) return columns;
  for (const std::string& piece : split(list, ',')) {
    const std::string name(trim(piece));
    const auto found = std::find(names.begin(), names.end(), name);
    const std::size_t dash = name.find('-');
    const auto first = by_number(name.substr(0, dash));
    const auto last = dash == std::string::npos ? first : by_number(name.substr(dash + 1));
    if (found != names.end()) {
      columns.push_back(static_cast<std::size_t>(found - names.begin()));
    } else if (first && last && *first <= *last) {
      for (std::size_t i = *first; i <= *last; ++i) columns.push_back(i);
    } else {
      throw UsageError(setting, fmt::format("{}: {} has no such column{}; it has: {}", name, table.file,
                                            did_you_mean(name, names), fmt::join(names, ", ")));
    }
  }
  return columns;
}

std::vector<std::size_t> find_targets(const TableText& table, const std::string& asked,
                                      std::vector<std::string>& notes) {
  if (!asked.empty()) return chosen(asked, "target", table);
  const std::vector<std::string>& names = table.dialect.names;
  for (const std::string_view usual : {"label", "class", "target", "y"})
    for (std::size_t i = 0; i < names.size(); ++i)
      if (lower(names[i]) == usual) return {i};
  notes.push_back(
      fmt::format("{}; the last, '{}', is the target",
                  table.dialect.header ? "no column is named label, class, target or y" : "the columns have no names",
                  names.back()));
  return {names.size() - 1};
}

bool holds(const std::vector<std::size_t>& list, std::size_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// Whether a column only numbers the rows: its values are 0, 1, 2, ... or 1, 2, 3, ..., and it has no name or one like
/// "id".
bool numbers_rows(const TableCells& cells, std::size_t column, const Dialect& dialect) {
  const TableColumn& of = cells.columns[column];
  if (of.text || of.missing > 0 || cells.rows < 3 || (cells.at(0, column) != 0 && cells.at(0, column) != 1))
    return false;
  const std::string name = lower(of.name);
  const bool unnamed = name == fmt::format("column {}", of.number + 1) || name.starts_with("unnamed: ");
  const bool called = name == "#" || name == "no" || name == "nr" || name == "row" || name == "rownames" ||
                      name == "index" || name.ends_with("id");
  if (!called && !(unnamed && of.number == 0 && (dialect.header || cells.rows >= 10))) return false;
  for (std::size_t row = 1; row < cells.rows; ++row)
    if (cells.at(row, column) != static_cast<float>(cells.at(0, column) + static_cast<double>(row))) return false;
  return true;
}

/// Source of an input: the numbers of a column, or 1 where the column contains a text.
struct Origin {
  std::size_t column;  ///< of the cells
  std::optional<double> text = {};
};

at::Tensor inputs_of(TableCells cells, const std::vector<Origin>& origins) {
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(cells.rows),
                                           static_cast<std::int64_t>(origins.size())};
  bool as_read = origins.size() == cells.input_columns;
  for (std::size_t i = 0; i < origins.size(); ++i) as_read = as_read && origins[i].column == i && !origins[i].text;
  if (as_read) {
    const auto held = std::make_shared<std::vector<float>>(std::move(cells.inputs));
    return at::from_blob(held->data(), shape, [held](void*) {});
  }
  at::Tensor inputs = at::empty(shape);
  auto* out = inputs.data_ptr<float>();
  for (std::size_t row = 0; row < cells.rows; ++row)
    for (const Origin& origin : origins) {
      const double value = cells.at(row, origin.column);
      *out++ =
          static_cast<float>(!origin.text || std::isnan(value) ? value : static_cast<double>(value == *origin.text));
    }
  return inputs;
}

/// The inputs that the columns give, and their names.
std::vector<Origin> origins_of(const TableCells& cells, const TableText& table, std::vector<std::string>& names,
                               std::vector<std::string>& notes) {
  std::vector<Origin> origins;
  std::vector<std::string> one_hot, left_out;
  for (std::size_t i = 0; i < cells.input_columns; ++i) {
    const TableColumn& column = cells.columns[i];
    if (numbers_rows(cells, i, table.dialect)) {
      left_out.push_back("'" + column.name + "'");
      continue;
    }
    if (!column.text) {
      origins.push_back({i});
      names.push_back(column.name);
      continue;
    }
    if (column.texts.size() > most_texts)
      throw DataError(fmt::format(
          "{}, column '{}': {} different texts in {} rows, like '{}', expected numbers or at most {} texts; "
          "leave the column out with the option ignore, or encode it as numbers",
          table.file, column.name, column.texts.size(), cells.rows, column.texts.begin()->first, most_texts));
    for (const auto& [text, number] : column.texts) {
      origins.push_back({i, static_cast<double>(number)});
      names.push_back(column.name + "=" + text);
    }
    one_hot.push_back(fmt::format("'{}' ({})", column.name, column.texts.size()));
  }
  if (origins.empty() && table.dialect.names.size() == 1)
    throw DataError(
        fmt::format("{}: has only one column, '{}', expected inputs and a target; "
                    "if it has more columns, set delimiter to the character between them",
                    table.file, table.dialect.names[0]));
  if (origins.empty())
    throw DataError(table.file + ": all columns are targets or left out; expected at least one column of inputs");
  if (!one_hot.empty())
    notes.push_back(fmt::format("columns of texts, one input per text: {}", fmt::join(one_hot, ", ")));
  if (!left_out.empty())
    notes.push_back(fmt::format("{} only numbers the rows and is not used as an input", fmt::join(left_out, ", ")));
  return origins;
}

/// Removes rows with a missing value where the options say so, and rows without a target where values are filled.
void settle_missing(TableCells& cells, Missing missing, const std::string& file, std::vector<std::string>& notes) {
  if (cells.rows_missing == 0) return;
  std::vector<std::string> counts;
  for (const TableColumn& column : cells.columns)
    if (column.missing > 0) counts.push_back(fmt::format("{} in '{}'", column.missing, column.name));
  const std::string found =
      fmt::format("{} of {} rows have missing values: {}", cells.rows_missing, cells.rows, fmt::join(counts, ", "));
  if (missing == Missing::error)
    throw DataError(fmt::format("{}: {}; the first is in {}; set missing to drop, mean, median or most-common", file,
                                found, cells.first_missing));
  const std::size_t inputs = cells.input_columns, targets = cells.columns.size() - inputs;
  const auto part = [](auto& values, std::size_t row, std::size_t width) {
    return std::span(values).subspan(row * width, width);
  };
  const auto empty = [](double value) { return std::isnan(value); };
  std::size_t kept = 0;
  for (std::size_t row = 0; row < cells.rows; ++row) {
    const auto from = part(cells.inputs, row, inputs);
    const auto wanted = part(cells.targets, row, targets);
    if (std::any_of(wanted.begin(), wanted.end(), empty) ||
        (missing == Missing::drop && std::any_of(from.begin(), from.end(), empty)))
      continue;
    std::copy(from.begin(), from.end(), part(cells.inputs, kept, inputs).begin());
    std::copy(wanted.begin(), wanted.end(), part(cells.targets, kept, targets).begin());
    ++kept;
  }
  const std::size_t dropped = cells.rows - kept;
  cells.rows = kept;
  cells.inputs.resize(kept * inputs);
  cells.targets.resize(kept * targets);
  if (kept == 0) throw DataError(fmt::format("{}: every row has a missing value, so none is left", file));
  std::string done = fmt::format("; {} rows were dropped", dropped);
  if (missing != Missing::drop) done = (dropped > 0 ? done : "") + "; inputs are filled";
  notes.push_back(found + done);
}

Targets targets_of(const TableCells& cells, TargetReading asked, const std::string& file) {
  const std::size_t first = cells.input_columns, width = cells.columns.size() - first;
  if (width == 1 && cells.columns[first].text) {
    std::vector<std::string> names(cells.columns[first].texts.size()), classes;
    for (const auto& [text, number] : cells.columns[first].texts) names[number] = text;
    for (std::size_t row = 0; row < cells.rows; ++row)
      classes.push_back(names[static_cast<std::size_t>(cells.at(row, first))]);
    Targets targets = text_targets(classes, asked, file);
    if (cells.rows >= 10 && 2 * targets.names.size() > cells.rows)
      throw DataError(
          fmt::format("{}, column '{}': {} classes in {} rows, so almost every row has a class of its own; "
                      "choose another column with the option target",
                      file, cells.columns[first].name, targets.names.size(), cells.rows));
    return targets;
  }
  std::vector<std::string> names;
  for (std::size_t i = first; i < cells.columns.size(); ++i) {
    if (cells.columns[i].text)
      throw DataError(fmt::format("{}, column '{}': texts; if there are several target columns, all must have numbers",
                                  file, cells.columns[i].name));
    names.push_back(cells.columns[i].name);
  }
  return number_targets(at::tensor(cells.targets, at::kDouble).reshape({-1, static_cast<std::int64_t>(width)}), names,
                        asked, file);
}

/// The columns of a model's inputs, in the order of the inputs, with the texts that it knows.
struct Known {
  std::vector<TableColumn> columns = {};
  std::vector<Origin> origins = {};
};

/// Finds the inputs of a model among columns of these names. @return nothing if `missing` has no column
std::optional<Known> find_inputs(const std::vector<std::string>& inputs, const std::vector<std::string>& names,
                                 std::string& missing) {
  Known known;
  const auto column_of = [&](const std::string& name) -> std::optional<std::size_t> {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return std::nullopt;
    const auto number = static_cast<std::size_t>(found - names.begin());
    for (std::size_t i = 0; i < known.columns.size(); ++i)
      if (known.columns[i].number == number) return i;
    known.columns.push_back({number, name});
    return known.columns.size() - 1;
  };
  for (const std::string& input : inputs) {
    std::optional<std::size_t> column = column_of(input);
    std::optional<double> text;
    for (std::size_t at = input.find('='); !column && at != std::string::npos; at = input.find('=', at + 1)) {
      column = column_of(input.substr(0, at));
      if (!column) continue;
      TableColumn& of = known.columns[*column];
      of.text = of.closed = true;
      text = static_cast<double>(of.texts.emplace(input.substr(at + 1), of.texts.size()).first->second);
    }
    if (!column) {
      missing = input;
      return std::nullopt;
    }
    known.origins.push_back({*column, text});
  }
  return known;
}

Known known_inputs(const std::vector<std::string>& inputs, const TableText& table) {
  std::string missing;
  std::optional<Known> known = find_inputs(inputs, table.dialect.names, missing);
  if (!known)
    throw DataError(fmt::format("{}: no column for the input '{}'{}; it has: {}", table.file, missing,
                                did_you_mean(missing, table.dialect.names), fmt::join(table.dialect.names, ", ")));
  return std::move(*known);
}

/// The target columns of a table for a model: those asked for, those with the names of a regression's targets, the only
/// column that is no input, or the usual ones.
std::vector<std::size_t> known_targets(const DatasetInfo& known, const std::vector<TableColumn>& inputs,
                                       const TableText& table, const std::string& asked,
                                       std::vector<std::string>& notes) {
  const std::vector<std::string>& names = table.dialect.names;
  std::vector<std::size_t> others, named;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto is_it = [&](const TableColumn& column) { return column.number == i; };
    if (std::none_of(inputs.begin(), inputs.end(), is_it)) others.push_back(i);
  }
  if (!asked.empty()) return chosen(asked, "target", table);
  if (known.problem == ProblemKind::regression)
    for (const std::string& target : known.classes)
      if (const auto found = std::find(names.begin(), names.end(), target); found != names.end())
        named.push_back(static_cast<std::size_t>(found - names.begin()));
  if (!named.empty() && named.size() == known.classes.size()) return named;
  if (others.size() == 1) return others;
  if (others.empty())
    throw DataError(fmt::format("{}: every column is an input of the network, so none has the targets; it has: {}",
                                table.file, fmt::join(names, ", ")));
  return find_targets(table, asked, notes);
}

/// Gives classes the numbers that they have in a model. @throws DataError for a class that the model does not know
Targets as_known(Targets targets, const DatasetInfo& known, const std::string& file) {
  if (known.problem == ProblemKind::regression) return targets;
  std::vector<std::int64_t> numbers;
  for (const std::string& name : targets.names) {
    auto found = std::find(known.classes.begin(), known.classes.end(), name);
    if (found == known.classes.end() && name.ends_with('.'))  // the programs for C4.5's files allow a period at the end
      found = std::find(known.classes.begin(), known.classes.end(), name.substr(0, name.size() - 1));
    if (found == known.classes.end())
      throw DataError(fmt::format("{}: the class '{}' was not in the training data; expected {}", file, name,
                                  fmt::join(known.classes, ", ")));
    numbers.push_back(found - known.classes.begin());
  }
  targets.values = at::tensor(numbers, at::kLong).index_select(0, targets.values);
  targets.names = known.classes;
  return targets;
}

/// The names of the columns that inputs come from: "city" for "city=Oslo".
std::vector<std::string> columns_of(const std::vector<std::string>& inputs) {
  std::vector<std::string> columns;
  for (const std::string& input : inputs) {
    const std::string name = input.substr(0, input.find('='));
    if (columns.empty() || columns.back() != name) columns.push_back(name);
  }
  return columns;
}

}  // namespace

bool is_table(const std::filesystem::path& path) {
  std::filesystem::path name = path;
  if (lower(name.extension().string()) == ".gz" || lower(name.extension().string()) == ".xz") name.replace_extension();
  const std::string extension = lower(name.extension().string());
  for (const std::string_view one : {".csv", ".tsv", ".tab", ".data", ".dat", ".txt"})
    if (extension == one) return true;
  return false;
}

Collection read_table(const std::filesystem::path& path, const TableOptions& options, TargetReading asked,
                      const DatasetInfo* known) {
  Collection collection;
  collection.name = path.string();
  collection.missing = options.missing;
  const TableText table(path, options);
  collection.fingerprint = sha256(table.content.bytes);
  const std::vector<std::string>& names = table.dialect.names;
  std::vector<std::string>& notes = collection.notes;
  notes.push_back("");  // for the table itself, when its rows are counted

  Known inputs = known != nullptr ? known_inputs(known->inputs, table) : Known();
  std::vector<TableColumn>& columns = inputs.columns;
  const std::vector<std::size_t> targets = known != nullptr
                                               ? known_targets(*known, columns, table, options.target, notes)
                                               : find_targets(table, options.target, notes);
  const auto add = [&](std::size_t i, bool target) {
    columns.push_back({i, names[i], table.dialect.is_text[i], target});
  };
  if (known == nullptr) {
    const std::vector<std::size_t> ignored = chosen(options.ignore, "ignore", table);
    const std::vector<std::size_t> asked_for = chosen(options.columns, "columns", table);
    for (std::size_t i = 0; i < names.size(); ++i)
      if (!holds(targets, i) && !holds(ignored, i) && (asked_for.empty() || holds(asked_for, i))) add(i, false);
  } else {
    asked = known->problem == ProblemKind::regression ? TargetReading::numbers : TargetReading::classes;
  }
  for (const std::size_t target : targets) add(target, true);

  TableCells cells = read_cells(table.decoded.text, table.dialect, std::move(columns), table.file);
  notes[0] = fmt::format("{} rows of {}", cells.rows, table.found);
  settle_missing(cells, options.missing, table.file, notes);
  DatasetInfo info;
  if (known != nullptr) info.inputs = known->inputs;
  const std::vector<Origin> origins =
      known != nullptr ? std::move(inputs.origins) : origins_of(cells, table, info.inputs, notes);
  Targets read = targets_of(cells, asked, table.file);
  if (known != nullptr) read = as_known(std::move(read), *known, table.file);
  if (!read.note.empty()) notes.push_back(read.note);
  info.problem = read.problem;
  info.input_shape = {static_cast<std::int64_t>(origins.size())};
  info.outputs = static_cast<std::int64_t>(read.names.size());
  info.classes = read.names;
  collection.train = memory(inputs_of(std::move(cells), origins), read.values, info);
  return collection;
}

at::Tensor table_inputs(const std::filesystem::path& path, const TableOptions& options, const DatasetInfo& info) {
  TableText table(path, options);
  std::vector<std::string>& names = table.dialect.names;
  const auto count = static_cast<std::size_t>(c10::multiply_integers(info.input_shape));
  std::vector<std::string> inputs = info.inputs;
  while (inputs.size() < count) inputs.push_back("input " + std::to_string(inputs.size() + 1));

  std::string missing;
  std::optional<Known> known;
  const bool unnamed = std::all_of(info.inputs.begin(), info.inputs.end(),
                                   [](const std::string& name) { return name.starts_with("column "); });
  if (table.dialect.header && !unnamed) {
    known = known_inputs(inputs, table);
  } else {
    const std::vector<std::string> columns = columns_of(inputs);
    if (names.size() == columns.size())
      known = find_inputs(inputs, columns, missing);
    else if (names.size() == count)
      known = find_inputs(inputs, inputs, missing);
    else
      known = find_inputs(inputs, names, missing);
    if (!known)
      throw DataError(fmt::format("{}: {} fields in a line, expected {}, one per column of inputs", table.file,
                                  names.size(), columns.size()));
    for (TableColumn& column : known->columns) column.name = fmt::format("column {}", column.number + 1);
  }
  TableCells cells = read_cells(table.decoded.text, table.dialect, std::move(known->columns), table.file);
  if (cells.rows_missing > 0 && info.fill.empty())
    throw DataError(
        fmt::format("{}: the value is missing, and the model was trained on examples without missing values; "
                    "train it with missing set to mean, median or most-common",
                    cells.first_missing));
  const at::Tensor read = inputs_of(std::move(cells), known->origins);
  return info.fill.empty() ? read : filled(read, info.fill);
}

}  // namespace grapes::data
