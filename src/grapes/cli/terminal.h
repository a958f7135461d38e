#pragma once

#include "grapes/base/text.h"

#include <string>
#include <string_view>

namespace grapes::cli {

/// When text is colored: `automatic` on a terminal, unless NO_COLOR is set (any text but the empty one).
enum class Color { automatic, always, never };

/// One of the program's two streams, as far as looks go.
class Stream {
 public:
  Stream(int file, Color color);
  bool is_terminal() const { return terminal_; }
  bool colored() const { return colored_; }
  /// Columns of the terminal; 80 where it does not say.
  int width() const;
  // The text in this style, where the stream is colored.
  std::string bold(std::string_view text) const;
  std::string red(std::string_view text) const;
  std::string cyan(std::string_view text) const;

 private:
  int file_;
  bool terminal_;
  bool colored_;
};

/// The text in lines of at most `width` characters, broken at spaces.
std::string wrap(std::string_view text, std::size_t width);

/// Seconds as people say them: "0.4 s", "12 s", "3:07 min", "1:02:09 h".
std::string duration(double seconds);

}  // namespace grapes::cli
