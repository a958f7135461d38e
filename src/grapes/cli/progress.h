#pragma once

#include "grapes/cli/terminal.h"
#include "grapes/data/open.h"

#include <chrono>
#include <string>

namespace grapes::cli {

/// A progress bar in the last line of the terminal:
///
///     epoch 3 of 10 [=======>                    ]  27 %  left 12 s  loss 0.4211  accuracy 88.12 %
///
/// It is redrawn at most ten times per second, cut to the terminal's width, and removed at the end. If the stream is
/// not a terminal, nothing is drawn.
class ProgressBar final {
 public:
  ProgressBar(const Stream& stream, bool quiet) : stream_(stream), visible_(stream.is_terminal() && !quiet) {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// @param what      text before the bar
  /// @param fraction  progress, 0 ... 1; the remaining time is estimated from the first call with this `stage`
  /// @param details   text after the bar, cut first if there is no space
  void show(const std::string& stage, const std::string& what, double fraction, const std::string& details);
  /// Removes the line, so that something else can be printed.
  void clear();
  /// Returns a callback for data::open and data::fetch.
  data::Progress downloads();

 private:
  using Clock = std::chrono::steady_clock;
  std::string time_left(double fraction, Clock::time_point now) const;

  Stream stream_;
  bool visible_;
  bool drawn_ = false;
  std::string stage_;
  double first_fraction_ = 0;
  Clock::time_point first_, last_;
};

}  // namespace grapes::cli
