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

/// Characters, not bytes: UTF-8 continuation bytes do not count.
std::size_t length(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

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

std::string columns(const std::vector<std::vector<std::string>>& rows, const std::vector<std::size_t>& right) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], length(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - length(row[i]), ' ');
      const bool to_the_right = std::find(right.begin(), right.end(), i) != right.end();
      line += (i > 0 ? "  " : "") + (to_the_right ? padding + row[i] : row[i] + padding);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string wrap(std::string_view text, std::size_t width) {
  std::string result;
  std::size_t at = 0;
  for (const std::string& word : split(text, ' ')) {
    if (at > 0 && at + 1 + length(word) > width) {
      result += "\n";
      at = 0;
    } else if (at > 0) {
      result += " ";
      ++at;
    }
    result += word;
    at += length(word);
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
