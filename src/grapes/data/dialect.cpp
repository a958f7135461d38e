#include "grapes/data/dialect.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/data/records.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>

namespace grapes::data {
namespace {

constexpr std::size_t sample_bytes = 1 << 17, sample_records = 500;
constexpr std::string_view delimiters = ",;\t| ";  // the earlier of equally good ones is taken
constexpr NumberStyle styles[] = {{'.', '\0'}, {',', '\0'}, {'.', ','},  {',', '.'},
                                  {'.', ' '},  {',', ' '},  {'.', '\''}, {',', '\''}};

using Cells = std::vector<std::string>;

/// The first records of a text, as one delimiter divides it.
struct Sample {
  std::vector<Cells> records;
  std::string comment;  // the last one before the first record
  std::size_t width = 0;
};

/// @param whole  the sample is the whole text, so a quote that is not closed is an error and not its end
Sample sample_of(std::string_view text, char delimiter, char comment, const std::string& file) {
  Sample sample;
  Records records(text, file, delimiter, comment);
  std::vector<std::string_view> fields;
  std::map<std::size_t, std::size_t> widths;
  try {
    while (sample.records.size() < sample_records && records.next(fields)) {
      if (sample.records.empty()) sample.comment = trim(records.comment());
      Cells& cells = sample.records.emplace_back();
      for (const std::string_view field : fields) cells.emplace_back(trim(field));
      ++widths[cells.size()];
    }
  } catch (const DataError&) {
    // The sample ends within a record, or the text has a fault. Reading the whole text will report the fault.
  }
  std::size_t most = 0;
  for (const auto& [width, count] : widths)
    if (count >= most) std::tie(sample.width, most) = std::pair(width, count);
  return sample;
}

bool is_number(std::string_view cell) {
  return std::any_of(std::begin(styles), std::end(styles),
                     [&](const NumberStyle& style) { return style(cell).has_value(); });
}

/// How well a delimiter fits, 0 ... 1: the share of records with the usual number of fields, times the share of fields
/// that are numbers or contain no delimiter.
double fit_of(const Sample& sample) {
  if (sample.width < 2) return 0;
  double even = 0, clean = 0, fields = 0;
  for (const Cells& cells : sample.records) {
    even += cells.size() == sample.width;
    fields += static_cast<double>(cells.size());
    for (const std::string& cell : cells)
      clean += cell.find_first_of(delimiters) == std::string::npos || is_number(cell) ? 1
               : cell.find_first_of(",;\t|") == std::string::npos                     ? 0.9  // words
                                                                                      : 0;
  }
  return even / static_cast<double>(sample.records.size()) * clean / fields;
}

char named_delimiter(const std::string& name) {
  static const std::map<std::string, char> names = {{"comma", ','}, {"semicolon", ';'}, {"tab", '\t'},
                                                    {"\\t", '\t'},  {"space", ' '},     {"pipe", '|'}};
  const auto found = names.find(name);
  return found != names.end() ? found->second : name[0];
}

char find_delimiter(std::string_view start, char comment, const std::string& file) {
  char best = ',';
  double most = 0;
  for (const char delimiter : delimiters) {
    const double fit = fit_of(sample_of(start, delimiter, comment, file));
    if (fit > most + 1e-9) std::tie(best, most) = std::pair(delimiter, fit);
  }
  return best;
}

/// The character that begins comments: # or %, if fewer than half of the lines begin with it; otherwise 0.
char find_comment(std::string_view start) {
  std::size_t lines = 0;
  std::map<char, std::size_t> signs;
  for (const std::string& line : split(start, '\n')) {
    const std::string_view content = trim(line);
    if (content.empty()) continue;
    ++lines;
    // A bar begins a comment in the files of C4.5 and separates columns in others.
    if (content[0] == '#' || content[0] == '%' || (content.rfind('|') == 0 && lines == 1)) ++signs[content[0]];
  }
  for (const auto& [sign, count] : signs)
    if (2 * count < lines) return sign;
  return '\0';
}

NumberStyle find_style(const std::vector<Cells>& records, const std::string& decimal) {
  NumberStyle best = {decimal == "comma" ? ',' : '.'};
  std::size_t most = 0;
  for (const NumberStyle& style : styles) {
    if (decimal != "auto" && style.decimal != best.decimal) continue;
    std::size_t numbers = 0;
    for (const Cells& cells : records)
      numbers += static_cast<std::size_t>(
          std::count_if(cells.begin(), cells.end(), [&](const std::string& cell) { return style(cell).has_value(); }));
    if (numbers > most) std::tie(best, most) = std::pair(style, numbers);
  }
  return best;
}

/// The cells of one column of the sample.
struct Profile {
  std::size_t numbers = 0, texts = 0;
  std::set<std::string_view> different = {};
  /// Whether the column has categories. They may be numbers in part, like "2", "3", "4" and "5more" doors of a car; a
  /// few texts in a column of numbers are mistakes.
  bool is_text() const {
    return texts > numbers || (texts >= 3 && 10 * texts >= numbers + texts && different.size() <= most_texts);
  }
  bool is_numeric() const { return numbers > 0 && !is_text(); }
};

/// @param begin  the first record that counts
std::vector<Profile> profiles(const Sample& sample, const NumberStyle& style, std::size_t begin) {
  std::vector<Profile> columns(sample.width);
  for (std::size_t row = begin; row < sample.records.size(); ++row) {
    const Cells& cells = sample.records[row];
    for (std::size_t i = 0; i < std::min(cells.size(), sample.width); ++i) {
      if (is_missing(cells[i])) continue;
      ++(style(cells[i]) ? columns[i].numbers : columns[i].texts);
      columns[i].different.insert(cells[i]);
    }
  }
  return columns;
}

/// Whether the cells number the columns: 0, 1, 2, ... or 1, 2, 3, ..., after a first one that may be a name or empty.
bool counts_columns(const Cells& cells) {
  const std::size_t begin = to_integer(cells[0]) ? 0 : 1;
  if (cells.size() < begin + 3) return false;
  const std::optional<long long> first = to_integer(cells[begin]);
  if (!first || *first < 0 || *first > 1) return false;
  for (std::size_t i = begin; i < cells.size(); ++i)
    if (to_integer(cells[i]) != *first + static_cast<long long>(i - begin)) return false;
  return true;
}

bool has_header(const Sample& sample, const NumberStyle& style) {
  const Cells& first = sample.records[0];
  if (sample.records.size() == 1) return std::none_of(first.begin(), first.end(), is_number);
  if (first.size() + 1 == sample.width) return true;  // the header of R, without a name for the column of row numbers
  const std::vector<Profile> below = profiles(sample, style, 1);
  if (counts_columns(first) && below[0].different.count(first[0]) == 0) return true;
  std::size_t texts = 0, again = 0, numeric = 0;
  for (std::size_t i = 0; i < std::min(first.size(), below.size()); ++i) {
    if (below[i].is_numeric()) {
      ++numeric;
      if (!is_missing(first[i]) && !style(first[i])) return true;
    }
    if (style(first[i]) || first[i].empty()) continue;
    ++texts;
    again += below[i].different.count(first[i]);
  }
  if (numeric > 0 || texts == 0) return false;
  return 2 * again < texts;  // only texts: names do not occur again below
}

/// Replaces signs of typography by those of ASCII: narrow and no-break spaces, the apostrophe and the minus sign.
std::string with_plain_signs(std::string_view text) {
  std::string plain(text);
  for (const auto& [sign, ascii] :
       {std::pair("\u00a0", ' '), {"\u2009", ' '}, {"\u202f", ' '}, {"\u2019", '\''}, {"\u2212", '-'}})
    for (std::size_t at = plain.find(sign); at != std::string::npos; at = plain.find(sign, at + 1))
      plain.replace(at, std::string_view(sign).size(), 1, ascii);
  return plain;
}

std::vector<std::string> names_of_columns(const Cells& cells, std::size_t width, const std::string& file) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < width; ++i) {
    std::string name = i < cells.size() ? cells[i] : "";
    if (name.empty()) name = fmt::format("column {}", i + 1);
    if (!seen.insert(name).second)
      throw DataError(fmt::format(
          "{}: two columns named '{}'; rename one, or, if the first line is no header, set header to no", file, name));
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

std::optional<double> NumberStyle::operator()(std::string_view text) const {
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
    const std::string plain = with_plain_signs(text);
    return plain.size() < text.size() ? (*this)(plain) : std::nullopt;
  }
  const char* const end = text.data() + text.size();
  if (double number = 0; read_short(text.data(), end, number) == end && !text.empty()) return number;
  if (decimal == '.' && thousands == '\0') return to_double(text);
  std::array<char, 64> plain{};
  if (text.size() >= plain.size()) return std::nullopt;
  std::size_t length = 0, group = 0;  // digits since the last separator
  bool grouped = false, whole = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool digit = c >= '0' && c <= '9';
    if (thousands != '\0' && c == thousands) {
      if (!whole || group == 0 || group > 3 || (grouped && group != 3)) return std::nullopt;
      grouped = true;
      group = 0;
      continue;
    }
    if (!digit && whole && group > 0) {
      if (grouped && group != 3) return std::nullopt;
      whole = false;
    }
    group += digit;
    if (c == '.' && decimal != '.') return std::nullopt;
    plain[length++] = c == decimal ? '.' : c;
  }
  if (whole && grouped && group != 3) return std::nullopt;
  return to_double({plain.data(), length});
}

std::string Dialect::describe() const {
  const auto quote = [](char c) {
    return c == '\t' ? std::string("tabs") : c == ' ' ? "spaces" : fmt::format("'{}'", c);
  };
  std::string text = fmt::format("{} columns separated by {}, {} header", names.size(), quote(delimiter),
                                 header ? "with a" : "without a");
  if (numbers.decimal == ',') text += ", decimal comma";
  if (numbers.thousands != '\0')
    text += fmt::format(", thousands separated by {}", numbers.thousands == ' ' ? "spaces" : quote(numbers.thousands));
  if (comment != '\0') text += fmt::format(", comments after {}", comment);
  return text;
}

bool is_missing(std::string_view cell) {
  if (cell.empty()) return true;
  if (cell.size() > 4 || std::string_view("?-#nN.<\\").find(cell[0]) == std::string_view::npos) return false;
  std::string lower;
  for (const char c : cell) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const std::string_view missing :
       {"?", "-", "--", ".", "na", "<na>", "n/a", "#na", "#n/a", "nan", "-nan", "null", "nil", "none", "\\n"})
    if (lower == missing) return true;
  return false;
}

Dialect find_dialect(std::string_view text, const DialectOptions& options, const std::string& file) {
  std::string_view start = text.substr(0, sample_bytes);
  if (start.size() < text.size() && start.find('\n') != std::string_view::npos)
    start = start.substr(0, start.rfind('\n') + 1);

  Dialect dialect;
  dialect.comment = find_comment(start);
  dialect.delimiter =
      options.delimiter == "auto" ? find_delimiter(start, dialect.comment, file) : named_delimiter(options.delimiter);
  Sample sample = sample_of(start, dialect.delimiter, dialect.comment, file);
  if (sample.records.empty()) {
    // If there is a fault, reading the first record throws an error that names it.
    std::vector<std::string_view> fields;
    Records(text, file, dialect.delimiter, dialect.comment).next(fields);
    throw DataError(file + ": is empty, expected a table");
  }
  dialect.numbers = find_style(sample.records, options.decimal);
  dialect.trailing =
      sample.width > 2 &&
      std::all_of(sample.records.begin() + (sample.records.size() > 1), sample.records.end(),
                  [&](const Cells& cells) { return cells.size() == sample.width && cells.back().empty(); }) &&
      (sample.records[0].size() < sample.width || sample.records[0].back().empty());
  if (dialect.trailing) {
    --sample.width;
    for (Cells& cells : sample.records) cells.resize(std::min(cells.size(), sample.width));
  }
  dialect.header = options.names.empty() &&
                   (options.header == "auto" ? has_header(sample, dialect.numbers) : options.header == "yes");

  Cells names = dialect.header ? sample.records[0] : Cells();
  if (dialect.header && names.size() + 1 == sample.width) names.insert(names.begin(), "");
  if (!dialect.header && !sample.comment.empty()) {  // what numpy.savetxt writes
    const Sample above = sample_of(sample.comment, dialect.delimiter, '\0', file);
    if (above.width == sample.width && std::none_of(above.records[0].begin(), above.records[0].end(), is_number))
      names = above.records[0];
  }
  if (!options.names.empty()) {
    if (options.names.size() != sample.width)
      throw DataError(fmt::format("{}: expected {} columns ({}); got {}", file, options.names.size(),
                                  fmt::join(options.names, ", "), sample.width));
    names = options.names;
  }
  dialect.names = names_of_columns(names, sample.width, file);
  for (const Profile& column : profiles(sample, dialect.numbers, dialect.header ? 1 : 0))
    dialect.is_text.push_back(column.is_text());
  return dialect;
}

}  // namespace grapes::data
