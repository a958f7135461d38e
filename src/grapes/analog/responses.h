#pragma once

#include "grapes/analog/device.h"

#include <cstdint>
#include <vector>

namespace grapes::analog {

/// The measured response of many weights of one kind of device: pulses up from 0, then as many down. Index n is after n
/// pulses; the unit is that of the state.
struct Responses {
  std::vector<double> mean, sd;  ///< over the weights, of what a read sees, without read noise
  /// Mean and standard deviation of after_pulses() over the same weights, each with its own devices: without noise.
  std::vector<double> expected, expected_sd;
};
/// Measures the response. @param weights  at least 2 @param pulses  in each direction, at least 1
Responses responses(const Device& device, std::int64_t weights, std::int64_t pulses, std::uint64_t seed);

/// Returns the number of pulses that move the nominal device from 0 to 95 % of its upper bound; 1000 without bounds.
std::int64_t pulses_to_fill(const Device& device);

}  // namespace grapes::analog
