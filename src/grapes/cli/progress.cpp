#include "grapes/cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace grapes::cli {
namespace {

constexpr auto redraw_after = std::chrono::milliseconds(100);
constexpr int widest_bar = 30;

std::string draw_bar(double fraction, int width) {
  const int done = static_cast<int>(fraction * width);
  std::string bar(static_cast<std::size_t>(done), '=');
  if (done < width) bar += '>';
  bar.resize(static_cast<std::size_t>(width), ' ');
  return bar;
}

void write_out(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

std::string ProgressBar::time_left(double fraction, Clock::time_point now) const {
  const double done = fraction - first_fraction_;
  const double seconds = std::chrono::duration<double>(now - first_).count();
  if (done <= 0 || seconds < 0.5) return "";
  return "  left " + duration(seconds * (1 - fraction) / done);
}

void ProgressBar::show(const std::string& stage, const std::string& what, double fraction, const std::string& details) {
  if (!visible_) return;
  const auto now = Clock::now();
  if (stage != stage_) {
    stage_ = stage;
    first_ = now;
    first_fraction_ = fraction;
  } else if (now - last_ < redraw_after) {
    return;
  }
  last_ = now;
  fraction = std::clamp(fraction, 0.0, 1.0);
  const int room = stream_.width() - 1;  // writing to the last column makes some terminals wrap
  std::string after = fmt::format(" {:3.0f} %{}", 100 * fraction, time_left(fraction, now));
  if (static_cast<int>(what.size() + after.size() + details.size()) + 8 + 2 <= room && !details.empty())
    after += "  " + details;
  const int bar = std::min(widest_bar, room - static_cast<int>(what.size() + after.size()) - 3);
  std::string line = what + (bar >= 5 ? " [" + stream_.cyan(draw_bar(fraction, bar)) + "]" : "") + after;
  if (bar < 5) line.resize(std::min(line.size(), static_cast<std::size_t>(std::max(room, 0))));
  write_out("\r\033[K" + line);
  drawn_ = true;
}

void ProgressBar::clear() {
  if (drawn_) write_out("\r\033[K");
  drawn_ = false;
}

data::Progress ProgressBar::downloads() {
  return [this](const std::string& what, std::uint64_t done, std::uint64_t total) {
    const double megabytes = static_cast<double>(done) / 1e6;
    const double fraction = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 0;
    show(what, what, fraction, fmt::format("{:.1f} MB", megabytes));
  };
}

}  // namespace grapes::cli
