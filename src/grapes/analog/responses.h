#pragma once

#include "grapes/analog/device.h"

#include <cstdint>
#include <vector>

namespace grapes::analog {

/// Many weights of one kind of device, from 0: pulses up, then as many down. Index n is after n pulses; in units of the
/// state.
struct Responses {
  std::vector<double> mean, sd;  ///< over the weights, of what a read sees, without read noise
  /// Mean and s.d. over the same weights of after_pulses(), each with its devices' own numbers: without noise.
  std::vector<double> expected, expected_sd;
};
/// @param weights  how many, at least 2 @param pulses  each way, at least 1
Responses responses(const Device& device, std::int64_t weights, std::int64_t pulses, std::uint64_t seed);

/// The pulses that bring the nominal device from 0 to 95 % of its upper bound; 1000 for one without bounds.
std::int64_t pulses_to_fill(const Device& device);

}  // namespace grapes::analog
