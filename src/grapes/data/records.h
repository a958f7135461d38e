#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace grapes::data {

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
  /// Line where the last record begins, from 1.
  std::size_t line() const { return line_; }
  /// Number of bytes that were read.
  std::size_t position() const { return static_cast<std::size_t>(at_ - begin_); }
  /// The last comment before the last record, without its sign.
  std::string_view comment() const { return last_comment_; }

 private:
  [[noreturn]] void refuse(std::size_t line, const std::string& why) const;
  std::string_view field();
  std::string_view quoted();
  bool skip_line();
  void end_line();
  bool is(char c) const { return at_ < end_ && *at_ == c; }
  bool blank() const { return at_ < end_ && (*at_ == ' ' || *at_ == '\t') && *at_ != delimiter_; }

  const char *const begin_, *at_, *end_;
  const std::string& file_;
  const char delimiter_, comment_;
  const bool blanks_;
  bool stops_[256] = {};  // bytes at which a plain field is looked at
  std::size_t line_ = 0, next_line_ = 1;
  std::string_view last_comment_;
  std::deque<std::string> unquoted_;  // fields with doubled quotes
};

}  // namespace grapes::data
