#pragma once

#include "grapes/base/text.h"

#include <string>
#include <string_view>

namespace grapes::cli {

/// When to color text. `automatic`: on a terminal, unless NO_COLOR is set to a non-empty text.
enum class Color { automatic, always, never };

/// The style of stdout or stderr.
class Stream {
 public:
  Stream(int file, Color color);
  bool is_terminal() const { return terminal_; }
  bool colored() const { return colored_; }
  /// Returns the columns of the terminal; 80 if unknown.
  int width() const;
  // Return the text in a style if the stream is colored.
  std::string bold(std::string_view text) const;
  std::string red(std::string_view text) const;
  std::string cyan(std::string_view text) const;

 private:
  int file_;
  bool terminal_;
  bool colored_;
};

/// Breaks the text at spaces into lines of at most `width` characters.
std::string wrap(std::string_view text, std::size_t width);

/// Formats seconds: "0.4 s", "12 s", "3:07 min", "1:02:09 h".
std::string duration(double seconds);

}  // namespace grapes::cli
