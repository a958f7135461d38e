#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

/// Activations on integers: 16 bits in, 16 bits out, both with fraction f (value = integer / 2^f, f 5 ... 14).
namespace grapes::fixed {

struct Activation {
  std::string_view name;
  bool table;  ///< whether it uses tanh_table()
  std::int32_t (*value)(std::int32_t z, int f);
  /// The error at h = φ(z) times φ'(z), which is computed from h.
  std::int32_t (*derivative)(std::int32_t error, std::int32_t h, int f);
};
/// relu, identity, tanh, sigmoid.
const std::vector<Activation>& activations();

/// tanh(i / 32) in units of 2^-15, i = 0 ... 256, rounded to the nearest. Linear interpolation has an error of at most
/// 10^-4. From 8 on tanh is 1.
const std::array<std::uint16_t, 257>& tanh_table();

}  // namespace grapes::fixed
