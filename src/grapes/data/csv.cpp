#include "grapes/data/csv.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/text.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/util/accumulate.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace grapes::data {
namespace {

constexpr std::size_t most_texts = 64;  // more different texts are probably names or sentences, not categories

[[noreturn]] void refuse(const CsvTable& table, std::size_t row, std::size_t column, const std::string& why) {
  throw DataError(
      fmt::format("{}, line {}, column '{}': {}", table.file(), table.line(row), table.header()[column], why));
}

std::string_view value(const CsvTable& table, std::size_t row, std::size_t column) {
  const std::string_view text = trim(table.cell(row, column));
  for (const std::string_view missing : {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"}) {
    if (text == missing) refuse(table, row, column, "the value is missing");
  }
  return text;
}

double number(const CsvTable& table, std::size_t row, std::size_t column) {
  const std::string_view text = value(table, row, column);
  const std::optional<double> found = to_double(text);
  if (!found) refuse(table, row, column, fmt::format("'{}' is not a number", text));
  if (!std::isfinite(static_cast<float>(*found)))
    refuse(table, row, column, fmt::format("'{}' is not a finite number in float32", text));
  return *found;
}

/// Whether no cell of a column is a number. A column with both is an error that is found when its numbers are read.
bool is_text(const CsvTable& table, std::size_t column) {
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if (to_double(value(table, row, column))) return false;
  }
  return true;
}

bool is_numbers(const std::vector<std::string>& texts) {
  return std::all_of(texts.begin(), texts.end(),
                     [](const std::string& text) { return to_double(trim(text)).has_value(); });
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::vector<std::size_t> find_labels(const CsvTable& table, const std::string& names, std::vector<std::string>& notes) {
  const std::vector<std::string>& header = table.header();
  std::vector<std::size_t> columns;
  if (!names.empty()) {
    for (const std::string& piece : split(names, ',')) {
      const std::string name(trim(piece));
      const auto found = std::find(header.begin(), header.end(), name);
      if (found == header.end()) {
        throw UsageError("label_column", fmt::format("{}: {} has no such column{}; it has: {}", name, table.file(),
                                                     did_you_mean(name, header), fmt::join(header, ", ")));
      }
      columns.push_back(static_cast<std::size_t>(found - header.begin()));
    }
    return columns;
  }
  for (const std::string_view usual : {"label", "class", "target", "y"}) {
    for (std::size_t i = 0; i < header.size(); ++i) {
      if (lower(header[i]) == usual) return {i};
    }
  }
  notes.push_back("no column is named label, class, target or y; the last, '" + header.back() + "', is the target");
  return {header.size() - 1};
}

/// Source of an input: the numbers of a column, or 1 where the column contains `text`.
struct Origin {
  std::size_t column;
  std::optional<std::string> text;
};

at::Tensor inputs_of(const CsvTable& table, const std::vector<Origin>& origins) {
  const auto rows = static_cast<std::int64_t>(table.rows());
  at::Tensor inputs = at::empty({rows, static_cast<std::int64_t>(origins.size())});
  float* out = inputs.data_ptr<float>();
  for (std::size_t row = 0; row < table.rows(); ++row) {
    for (const Origin& origin : origins) {
      *out++ = origin.text ? static_cast<float>(value(table, row, origin.column) == *origin.text)
                           : static_cast<float>(number(table, row, origin.column));
    }
  }
  return inputs;
}

std::vector<Origin> choose_inputs(const CsvTable& table, const std::vector<std::size_t>& labels,
                                  std::vector<std::string>& notes) {
  std::vector<Origin> origins;
  std::vector<std::string> one_hot;
  for (std::size_t column = 0; column < table.header().size(); ++column) {
    if (std::find(labels.begin(), labels.end(), column) != labels.end()) continue;
    if (!is_text(table, column)) {
      origins.push_back({column, std::nullopt});
      continue;
    }
    std::set<std::string> texts;
    for (std::size_t row = 0; row < table.rows(); ++row) texts.emplace(value(table, row, column));
    if (texts.size() > most_texts)
      throw DataError(
          fmt::format("{}, column '{}': {} different texts, expected numbers or at most {} texts; leave the column out "
                      "or encode it",
                      table.file(), table.header()[column], texts.size(), most_texts));
    for (const std::string& text : texts) origins.push_back({column, text});
    one_hot.push_back(fmt::format("'{}' ({})", table.header()[column], texts.size()));
  }
  if (origins.empty())
    throw DataError(table.file() + ": all columns are targets; expected at least one column of inputs");
  if (!one_hot.empty())
    notes.push_back(fmt::format("columns of texts, one input per text: {}", fmt::join(one_hot, ", ")));
  return origins;
}

/// Finds the columns of a model's inputs in another table. A text column must contain only texts that the model knows.
std::vector<Origin> find_inputs(const CsvTable& table, const std::vector<std::string>& inputs) {
  std::map<std::string, std::size_t> columns;
  for (std::size_t i = 0; i < table.header().size(); ++i) columns[table.header()[i]] = i;
  std::vector<Origin> origins;
  std::map<std::size_t, std::set<std::string>> known;
  for (const std::string& input : inputs) {
    std::optional<Origin> origin;
    if (const auto found = columns.find(input); found != columns.end()) origin = Origin{found->second, std::nullopt};
    for (std::size_t at = input.find('='); !origin && at != std::string::npos; at = input.find('=', at + 1)) {
      const auto found = columns.find(input.substr(0, at));
      if (found != columns.end()) origin = Origin{found->second, input.substr(at + 1)};
    }
    if (!origin) {
      throw DataError(fmt::format("{}: no column for the input '{}'{}; it has: {}", table.file(), input,
                                  did_you_mean(input, table.header()), fmt::join(table.header(), ", ")));
    }
    if (origin->text) known[origin->column].insert(*origin->text);
    origins.push_back(*origin);
  }
  for (const auto& [column, texts] : known) {
    for (std::size_t row = 0; row < table.rows(); ++row) {
      const std::string text(value(table, row, column));
      if (texts.count(text) == 0)
        refuse(table, row, column,
               fmt::format("'{}' did not occur in the training data; known texts: {}", text, fmt::join(texts, ", ")));
    }
  }
  return origins;
}

Targets targets_of(const CsvTable& table, const std::vector<std::size_t>& columns, TargetReading asked) {
  if (columns.size() == 1 && is_text(table, columns[0])) {
    std::vector<std::string> classes;
    for (std::size_t row = 0; row < table.rows(); ++row) classes.emplace_back(value(table, row, columns[0]));
    return text_targets(classes, asked, table.file());
  }
  std::vector<double> values;
  for (std::size_t row = 0; row < table.rows(); ++row)
    for (const std::size_t column : columns) values.push_back(number(table, row, column));
  std::vector<std::string> names;
  for (const std::size_t column : columns) names.push_back(table.header()[column]);
  const auto width = static_cast<std::int64_t>(columns.size());
  return number_targets(at::tensor(values, at::kDouble).reshape({-1, width}), names, asked, table.file());
}

}  // namespace

Collection read_csv(const std::filesystem::path& path, const std::string& label_columns, TargetReading asked) {
  std::string text = read_file(path);
  Collection collection;
  collection.name = path.string();
  collection.fingerprint = sha256(text);
  const CsvTable table(std::move(text), path.string());
  const std::vector<std::string>& header = table.header();
  if (is_numbers(header)) throw DataError(path.string() + ", line 1: only numbers, expected the names of the columns");
  const std::vector<std::size_t> labels = find_labels(table, label_columns, collection.notes);
  const std::vector<Origin> origins = choose_inputs(table, labels, collection.notes);
  const Targets targets = targets_of(table, labels, asked);
  if (!targets.note.empty()) collection.notes.push_back(targets.note);

  DatasetInfo info{targets.problem,
                   {static_cast<std::int64_t>(origins.size())},
                   static_cast<std::int64_t>(targets.names.size()),
                   targets.names};
  for (const Origin& origin : origins)
    info.inputs.push_back(header[origin.column] + (origin.text ? "=" + *origin.text : ""));
  collection.train = memory(inputs_of(table, origins), targets.values, info);
  return collection;
}

at::Tensor csv_inputs(const std::filesystem::path& path, const DatasetInfo& info) {
  std::string text = read_file(path);
  std::vector<std::string> names = info.inputs;
  const std::int64_t count = c10::multiply_integers(info.input_shape);
  while (static_cast<std::int64_t>(names.size()) < count) names.push_back("input " + std::to_string(names.size() + 1));

  const std::vector<std::string> first = split(std::string_view(text).substr(0, text.find('\n')), ',');
  const bool bare = is_numbers(first);
  if ((bare || info.inputs.empty()) && static_cast<std::int64_t>(first.size()) != count) {
    throw DataError(
        fmt::format("{}, line 1: {} fields, expected {}, one per input", path.string(), first.size(), count));
  }
  const CsvTable table(std::move(text), path.string(), bare ? names : std::vector<std::string>{});
  return inputs_of(table, find_inputs(table, info.inputs.empty() ? table.header() : names));
}

}  // namespace grapes::data
