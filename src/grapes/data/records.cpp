#include "grapes/data/records.h"

#include "grapes/base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace grapes::data {

Records::Records(std::string_view text, const std::string& file, char delimiter, char comment, bool blanks)
    : begin_(text.data()),
      at_(text.data()),
      end_(text.data() + text.size()),
      file_(file),
      delimiter_(delimiter),
      comment_(comment),
      blanks_(blanks) {
  for (const char c : {delimiter, '\r', '\n', '"', '\0'}) stops_[static_cast<unsigned char>(c)] = true;
  if (delimiter == ' ') stops_[static_cast<unsigned char>('\t')] = true;
  // Excel's first line "sep=;" names the delimiter.
  if (text.size() > 5 && (text.starts_with("sep=") || text.starts_with("SEP=")) &&
      (text[5] == '\r' || text[5] == '\n')) {
    at_ += 5;
    end_line();
  }
}

void Records::refuse(std::size_t line, const std::string& why) const {
  throw DataError(fmt::format("{}, line {}: {}", file_, line, why));
}

void Records::end_line() {
  if (at_ == end_) return;
  const bool carriage = *at_++ == '\r';
  if (carriage && is('\n')) ++at_;
  ++next_line_;
}

/// Skips a line that is empty or a comment. @return whether it was
bool Records::skip_line() {
  const char* first = at_;
  while (first < end_ && (*first == ' ' || (*first == '\t' && delimiter_ != '\t'))) ++first;
  const bool empty = first == end_ || *first == '\r' || *first == '\n';
  const bool comment = !empty && comment_ != '\0' && *first == comment_;
  if (!comment && !empty) return false;
  if (empty && blanks_ &&
      std::any_of(first, end_, [](char c) { return c != ' ' && c != '\t' && c != '\r' && c != '\n'; }))
    return false;
  at_ = first;
  while (at_ < end_ && *at_ != '\r' && *at_ != '\n') ++at_;
  if (comment) last_comment_ = {first + 1, static_cast<std::size_t>(at_ - first - 1)};
  end_line();
  return true;
}

bool Records::begin_record() {
  unquoted_.clear();
  while (at_ < end_ && skip_line()) {
  }
  line_ = next_line_;
  first_ = true;
  return at_ < end_;
}

/// Moves to the next field of the record. @return false after the last one
bool Records::begin_field() {
  const bool first = std::exchange(first_, false);
  if (delimiter_ == ' ') {
    while (is(' ') || is('\t')) ++at_;
    return first || !at_line_end();
  }
  if (!first && !is(delimiter_)) return false;
  at_ += !first;
  return true;
}

void Records::end_record() {
  if (!at_line_end()) refuse(next_line_, "text after a closing quote, expected a delimiter or the end of the line");
  end_line();
}

bool Records::next(std::vector<std::string_view>& fields) {
  fields.clear();
  if (!begin_record()) return false;
  while (begin_field()) fields.push_back(field());
  end_record();
  return true;
}

bool Records::next(std::vector<Field>& fields, const std::vector<char>& numeric, const NumberStyle& style) {
  std::size_t count = 0;  // the fields of the last record are overwritten, because most records have equally many
  if (!begin_record()) return false;
  bool more = begin_field();
  while (more) {
    if (count == fields.size()) fields.emplace_back();
    Field& one = fields[count];
    const char* const after =
        count < numeric.size() && numeric[count] != 0 ? style.read_short(at_, end_, one.number) : nullptr;
    ++count;
    one.is_number = after != nullptr && (after == end_ || ends_field(*after));
    if (one.is_number)
      at_ = after;
    else
      one.text = field();
    const bool another = is(delimiter_) && delimiter_ != ' ';  // as begin_field() finds it
    at_ += another;
    more = another || begin_field();
  }
  fields.resize(count);
  end_record();
  return true;
}

std::string_view Records::field() {
  if (is('"')) return quoted();
  const char* const begin = at_;
  for (;;) {
    while (at_ < end_ && !stops_[static_cast<unsigned char>(*at_)]) ++at_;
    if (is('"')) {
      if (std::all_of(begin, at_, [](char c) { return c == ' ' || c == '\t'; })) return quoted();
      refuse(next_line_, "a quote within a field that is not quoted");
    }
    if (is('\0')) refuse(next_line_, "a zero byte: this is not a text file");
    return {begin, static_cast<std::size_t>(at_ - begin)};
  }
}

std::string_view Records::quoted() {
  const std::size_t opened = next_line_;
  const char* const begin = ++at_;
  bool doubled = false;
  for (;; ++at_) {
    if (at_ == end_) refuse(opened, "a quote that is never closed");
    if (*at_ == '\n') ++next_line_;
    if (*at_ != '"') continue;
    if (at_ + 1 == end_ || at_[1] != '"') break;
    doubled = true;
    ++at_;
  }
  const std::string_view raw(begin, static_cast<std::size_t>(at_++ - begin));
  while (blank() && delimiter_ != ' ') ++at_;
  if (!doubled) return raw;
  std::string& plain = unquoted_.emplace_back();
  for (std::size_t i = 0; i < raw.size(); ++i) {
    plain += raw[i];
    if (raw[i] == '"') ++i;
  }
  return plain;
}

}  // namespace grapes::data
