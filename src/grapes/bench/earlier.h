#pragma once

#include "grapes/bench/bench.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace grapes::bench {

/// The ratios of an earlier run of `grapes bench`, to find what has become slower. Ratios can be compared between runs
/// at different times, because a step and its baseline take turns; times cannot.
class Earlier {
 public:
  /// @param file  lines that `grapes bench NAME --json` printed
  /// @throws DataError if it cannot be read, or if a line is not a timing
  explicit Earlier(const std::filesystem::path& file);
  struct Case {
    double ratio;
    std::string measured_with;  ///< libraries and instruction set; ratios with others cannot be compared
  };
  /// Returns the timing with the same labels; nothing if there is none, or if it has no ratio.
  std::optional<Case> find(const Timing& timing) const;

 private:
  std::map<std::string, Case> cases_;  // by labels
};

/// The libraries here and the instruction set, as in Earlier::Case.
std::string measured_with(const Timing& timing);

}  // namespace grapes::bench
