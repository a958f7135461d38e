#include "grapes/cli/terminal.h"

#include "grapes/base/text.h"

#include <fmt/color.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace grapes::cli {
namespace {

std::string styled(bool colored, const fmt::text_style& style, std::string_view text) {
  return colored ? fmt::format(style, "{}", text) : std::string(text);
}

bool wants_color(Color color, bool terminal) {
  if (color != Color::automatic) return color == Color::always;
  const char* no_color = std::getenv("NO_COLOR");
  return terminal && (no_color == nullptr || *no_color == '\0');
}

}  // namespace

Stream::Stream(int file, Color color)
    : file_(file), terminal_(::isatty(file) == 1), colored_(wants_color(color, terminal_)) {}

int Stream::width() const {
  winsize size{};
  if (::ioctl(file_, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string Stream::bold(std::string_view text) const { return styled(colored_, fmt::emphasis::bold, text); }
std::string Stream::red(std::string_view text) const { return styled(colored_, fg(fmt::terminal_color::red), text); }
std::string Stream::cyan(std::string_view text) const { return styled(colored_, fg(fmt::terminal_color::cyan), text); }

std::string wrap(std::string_view text, std::size_t width) {
  std::string result;
  std::size_t at = 0;
  for (const std::string& word : split(text, ' ')) {
    if (at > 0 && at + 1 + display_width(word) > width) {
      result += "\n";
      at = 0;
    } else if (at > 0) {
      result += " ";
      ++at;
    }
    result += word;
    at += display_width(word);
  }
  return result;
}

std::string duration(double seconds) {
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::llround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02} h", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace grapes::cli
