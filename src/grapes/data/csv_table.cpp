#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/data/csv.h"

#include <fmt/format.h>

#include <set>
#include <utility>

namespace grapes::data {
namespace {

[[noreturn]] void refuse(const std::string& file, std::size_t line, const std::string& why) {
  throw DataError(fmt::format("{}, line {}: {}", file, line, why));
}

/// Splits a text into fields.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& file, std::deque<std::string>& unquoted)
      : text_(text), file_(file), unquoted_(unquoted) {}

  bool at_end() const { return next_ == text_.size(); }
  std::size_t line() const { return line_; }

  /// Returns the fields of one record, up to the end of its line.
  std::vector<std::string_view> record() {
    std::vector<std::string_view> fields;
    do fields.push_back(field());
    while (take(','));
    if (!at_end() && !end_of_line())
      refuse(file_, line_, "text after a closing quote, expected a comma or the end of the line");
    return fields;
  }

 private:
  bool take(char c) {
    if (at_end() || text_[next_] != c) return false;
    ++next_;
    return true;
  }

  bool end_of_line() {
    const bool carriage = take('\r');
    if (take('\n') || carriage) {
      ++line_;
      return true;
    }
    return false;
  }

  std::string_view field() {
    if (take('"')) return quoted();
    const std::size_t begin = next_;
    while (!at_end() && text_[next_] != ',' && text_[next_] != '\r' && text_[next_] != '\n') {
      if (text_[next_] == '"' || text_[next_] == '\0') {
        refuse(
            file_, line_,
            text_[next_] == '"' ? "a quote within a field that is not quoted" : "a zero byte: this is not a text file");
      }
      ++next_;
    }
    return text_.substr(begin, next_ - begin);
  }

  std::string_view quoted() {
    const std::size_t opened = line_;
    const std::size_t begin = next_;
    bool doubled = false;
    for (;; ++next_) {
      if (at_end()) refuse(file_, opened, "a quote that is never closed");
      if (text_[next_] == '\n') ++line_;
      if (text_[next_] != '"') continue;
      if (next_ + 1 >= text_.size() || text_[next_ + 1] != '"') break;
      doubled = true;
      ++next_;
    }
    const std::string_view raw = text_.substr(begin, next_++ - begin);
    if (!doubled) return raw;
    std::string& plain = unquoted_.emplace_back();
    for (std::size_t i = 0; i < raw.size(); ++i) {
      plain += raw[i];
      if (raw[i] == '"') ++i;
    }
    return plain;
  }

  std::string_view text_;
  std::size_t next_ = 0;
  std::size_t line_ = 1;
  const std::string& file_;
  std::deque<std::string>& unquoted_;
};

}  // namespace

CsvTable::CsvTable(std::string text, std::string file, std::vector<std::string> header)
    : text_(std::move(text)), file_(std::move(file)), header_(std::move(header)) {
  std::string_view content = text_;
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);  // the byte order mark that spreadsheets write
  Scanner scanner(content, file_, unquoted_);
  if (scanner.at_end()) throw DataError(file_ + ": is empty, expected a line with the names of the columns");
  if (header_.empty()) read_header(scanner.record());
  while (!scanner.at_end()) {
    const std::size_t line = scanner.line();
    const std::vector<std::string_view> record = scanner.record();
    if (record.size() == 1 && trim(record[0]).empty() && (header_.size() > 1 || scanner.at_end())) {
      if (scanner.at_end()) break;
      refuse(file_, line, "is empty");
    }
    if (record.size() != header_.size())
      refuse(file_, line, fmt::format("{} fields, expected {} (one per column)", record.size(), header_.size()));
    cells_.insert(cells_.end(), record.begin(), record.end());
    lines_.push_back(line);
  }
  if (lines_.empty()) throw DataError(file_ + ": no rows after the names of the columns");
}

void CsvTable::read_header(const std::vector<std::string_view>& names) {
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string_view name = trim(names[i]);
    if (name.empty())
      refuse(file_, 1,
             fmt::format("column {} has no name (a column that only numbers the rows should be left out)", i + 1));
    if (!seen.insert(name).second) refuse(file_, 1, fmt::format("two columns named '{}'", name));
    header_.emplace_back(name);
  }
  if (names.size() == 1 && names[0].find_first_of(";\t") != std::string_view::npos)
    refuse(file_, 1, fmt::format("a single column named '{}', expected names between commas", header_[0]));
}

}  // namespace grapes::data
