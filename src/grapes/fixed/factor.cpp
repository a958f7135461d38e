#include "grapes/fixed/factor.h"

#include <algorithm>

namespace grapes::fixed {

std::uint64_t responsibility(const std::int32_t* weights, std::size_t count) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t w = weights[i];
    sum += static_cast<std::uint64_t>(w < 0 ? -w : w);
  }
  return sum;
}

std::uint32_t factor_steps(std::uint64_t r, std::uint64_t most, int k) {
  if (most == 0) return 0;
  const std::uint64_t scaled = r << (k + 2);
  // The bit of 2^k can only be set if all bits below it are 0. It is tried first, like every other.
  std::uint32_t j = 0;
  for (int bit = k; bit >= 0; --bit) {
    const std::uint32_t tried = j | (1u << bit);
    if (tried > (1u << k)) continue;
    if (scaled >= most * ((std::uint64_t{2} << k) + 2 * std::uint64_t{tried} - 1)) j = tried;
  }
  return j;
}

std::vector<std::uint32_t> factor_steps(const std::vector<std::uint64_t>& r, int k) {
  const std::uint64_t most = r.empty() ? 0 : *std::max_element(r.begin(), r.end());
  std::vector<std::uint32_t> steps;
  steps.reserve(r.size());
  for (const std::uint64_t one : r) steps.push_back(factor_steps(one, most, k));
  return steps;
}

std::int32_t modulate(std::int32_t error, std::uint32_t steps, int k, int bits) {
  return saturate(error + shift_right(std::int64_t{error} * steps, k), bits);
}

std::int32_t saturate(std::int64_t value, int bits) {
  const std::int64_t most = (std::int64_t{1} << (bits - 1)) - 1;
  return static_cast<std::int32_t>(std::clamp(value, -most - 1, most));
}

std::int64_t shift_right(std::int64_t value, int shift) {
  return shift == 0 ? value : (value + (std::int64_t{1} << (shift - 1))) >> shift;
}

}  // namespace grapes::fixed
