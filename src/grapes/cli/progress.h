#pragma once

#include "grapes/cli/terminal.h"
#include "grapes/data/open.h"

#include <chrono>
#include <string>

namespace grapes::cli {

/// One line at the foot of the terminal that says how far long work is:
///
///     epoch 3 of 10 [=======>                    ]  27 %  left 12 s  loss 0.4211  accuracy 88.12 %
///
/// Redrawn at most ten times a second, cut to the terminal's width, gone when the work ends. Draws nothing where the
/// stream is no terminal.
class ProgressBar final {
 public:
  ProgressBar(const Stream& stream, bool quiet) : stream_(stream), visible_(stream.is_terminal() && !quiet) {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// @param what      stands before the bar
  /// @param fraction  done, 0 ... 1; the time left is reckoned from the first call with this `stage`
  /// @param details   stands after it, the first to go where there is no room
  void show(const std::string& stage, const std::string& what, double fraction, const std::string& details);
  /// Take the line away, so that something else can be printed.
  void clear();
  /// For data::open and data::fetch.
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
