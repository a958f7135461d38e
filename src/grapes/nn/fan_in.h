#pragma once

#include "grapes/base/random.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace grapes::nn {

/// How many inputs each unit of a layer has. The weights of all other inputs do not exist.
struct FanIn {
  enum class Kind {
    all,     ///< every input
    fixed,   ///< the same number for all units
    random,  ///< each weight exists with the same probability; a unit that would have none gets one
    hubs     ///< some units, drawn at random, have another number than the rest
  } kind = Kind::all;
  std::int64_t inputs = 0;      ///< of a unit; random: in the mean
  std::int64_t hub_inputs = 0;  ///< of a hub
  double hub_share = 0;         ///< fraction of the units that are hubs, rounded to a number of units
  explicit operator bool() const { return kind != Kind::all; }
  bool operator==(const FanIn&) const = default;
};
/// Parses "all", "8", "random:8" and "hubs:8,64,0.1". @throws UsageError
FanIn parse_fan_in(const std::string& text);
std::string to_string(const FanIn& fan_in);

/// @param layer  its name, for the message
/// @throws UsageError if a layer of this size cannot have such a fan-in
void require_fan_in(const FanIn& fan_in, std::int64_t units, std::int64_t inputs, const std::string& layer);

/// Draws which weights exist. Inputs are drawn without replacement, for each unit by itself.
/// @return [unit, input] float64: 1 where there is a weight, else 0
at::Tensor weight_mask(const FanIn& fan_in, std::int64_t units, std::int64_t inputs, Random& random);

}  // namespace grapes::nn
