#include "grapes/fixed/activation.h"

#include "grapes/fixed/factor.h"

#include <cmath>
#include <cstdlib>

namespace grapes::fixed {
namespace {

std::int32_t to_nearest(std::int64_t value, int shift) { return static_cast<std::int32_t>(shift_right(value, shift)); }

/// tanh |z / 2^f| in units of 2^-15.
std::int32_t tanh_of_size(std::int32_t z, int f) {
  const std::uint32_t size = static_cast<std::uint32_t>(std::abs(z));
  const int rest_bits = f - 5;
  const std::uint32_t i = size >> rest_bits;
  if (i >= 256) return 1 << 15;
  const std::int32_t low = tanh_table().at(i), high = tanh_table().at(i + 1);
  return low + to_nearest(std::int64_t{high - low} * (size & ((1u << rest_bits) - 1)), rest_bits);
}

std::int32_t relu(std::int32_t z, int) { return z > 0 ? z : 0; }
std::int32_t relu_derivative(std::int32_t error, std::int32_t h, int) { return h > 0 ? error : 0; }

std::int32_t identity(std::int32_t z, int) { return z; }
std::int32_t identity_derivative(std::int32_t error, std::int32_t, int) { return error; }

std::int32_t hyperbolic_tangent(std::int32_t z, int f) {
  const std::int32_t size = to_nearest(tanh_of_size(z, f), 15 - f);
  return z < 0 ? -size : size;
}
std::int32_t tanh_derivative(std::int32_t error, std::int32_t h, int f) {
  const std::int32_t slope = (1 << f) - to_nearest(std::int64_t{h} * h, f);
  return to_nearest(std::int64_t{error} * slope, f);
}

/// (1 + tanh(z / 2)) / 2: half of z is z with one more bit of fraction.
std::int32_t sigmoid(std::int32_t z, int f) {
  const std::int32_t size = tanh_of_size(z, f + 1);
  return to_nearest((1 << 15) + (z < 0 ? -size : size), 16 - f);
}
std::int32_t sigmoid_derivative(std::int32_t error, std::int32_t h, int f) {
  const std::int32_t slope = h - to_nearest(std::int64_t{h} * h, f);
  return to_nearest(std::int64_t{error} * slope, f);
}

}  // namespace

const std::vector<Activation>& activations() {
  static const std::vector<Activation> rows = {
      {"relu", false, relu, relu_derivative},  // the derivative at 0 is 0
      {"identity", false, identity, identity_derivative},
      {"tanh", true, hyperbolic_tangent, tanh_derivative},  // error of the value at most 1/2 + 2^f / 8000
      {"sigmoid", true, sigmoid, sigmoid_derivative},       // ... 1/2 + 2^f / 16000, in units of 2^-f
  };
  return rows;
}

const std::array<std::uint16_t, 257>& tanh_table() {
  static const std::array<std::uint16_t, 257> table = [] {
    std::array<std::uint16_t, 257> t{};
    for (std::size_t i = 0; i < t.size(); ++i)
      t.at(i) = static_cast<std::uint16_t>(std::lround(32768 * std::tanh(static_cast<double>(i) / 32)));
    return t;
  }();
  return table;
}

}  // namespace grapes::fixed
