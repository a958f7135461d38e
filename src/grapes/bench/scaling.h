#pragma once

#include "grapes/bench/bench.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::bench {

/// One quantity of a network that grows, while everything else stays as it is.
struct ScalingAxis {
  std::string name;                                            ///< "width"
  std::string summary;                                         ///< the network, for people
  std::vector<std::int64_t> values;                            ///< increasing
  Timing (*time)(std::int64_t value, const Options& options);  ///< of a step with GRAPES
};
const std::vector<ScalingAxis>& scaling_axes();

struct ScalingPoint {
  std::string axis;
  std::int64_t value = 0;
  Timing timing;
};
/// Draws time per step and its baseline against the value, a panel for each axis. @param points  grouped by axis
std::string scaling_picture(const std::vector<ScalingPoint>& points);

}  // namespace grapes::bench
