#pragma once

#include "grapes/data/number_style.h"

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace grapes::data {

/// A field of a record: a number that was read with the record, or a text.
struct Field {
  std::string_view text = {};  ///< without quotes; empty for a number
  double number = 0;
  bool is_number = false;
};

/// Reads a text record by record, as RFC 4180 defines it: fields that contain a delimiter, a line end or a quote are
/// quoted with ", and the quote is doubled. Empty lines and lines of comments are skipped.
class Records {
 public:
  /// @param delimiter  ' ': any number of spaces and tabs
  /// @param comment    begins a line that is skipped; '\0': no line is
  /// @param blanks     an empty line is a record of one empty field, except at the end
  Records(std::string_view text, const std::string& file, char delimiter, char comment, bool blanks = false);

  /// Reads the next record. The fields are valid until the next call. @return false at the end
  /// @throws DataError with the line: a quote that is never closed, text after a closing quote, a zero byte
  bool next(std::vector<std::string_view>& fields);
  /// The same, and reads short numbers at once, which is faster than to find their ends first.
  /// @param numeric  [columns] whether the fields of a column may be read as numbers
  bool next(std::vector<Field>& fields, const std::vector<char>& numeric, const NumberStyle& style);
  /// Line where the last record begins, from 1.
  std::size_t line() const { return line_; }
  /// Number of bytes that were read.
  std::size_t position() const { return static_cast<std::size_t>(at_ - begin_); }
  /// The last comment before the last record, without its sign.
  std::string_view comment() const { return last_comment_; }

 private:
  [[noreturn]] void refuse(std::size_t line, const std::string& why) const;
  bool begin_record();
  bool begin_field();
  void end_record();
  std::string_view field();
  std::string_view quoted();
  bool skip_line();
  void end_line();
  bool is(char c) const { return at_ < end_ && *at_ == c; }
  bool ends_field(char c) const {
    return c == delimiter_ || c == '\n' || c == '\r' || (c == '\t' && delimiter_ == ' ');
  }
  bool at_line_end() const { return at_ == end_ || *at_ == '\r' || *at_ == '\n'; }
  bool blank() const { return at_ < end_ && (*at_ == ' ' || *at_ == '\t') && *at_ != delimiter_; }

  const char *const begin_, *at_, *end_;
  const std::string& file_;
  const char delimiter_, comment_;
  const bool blanks_;
  bool stops_[256] = {};  // bytes at which a plain field is looked at
  bool first_ = false;    // the next field is the first of its record
  std::size_t line_ = 0, next_line_ = 1;
  std::string_view last_comment_;
  std::deque<std::string> unquoted_;  // fields with doubled quotes
};

}  // namespace grapes::data
