#include "grapes/fixed/softmax.h"

#include <algorithm>
#include <cmath>

namespace grapes::fixed {
namespace {

constexpr std::uint32_t log2_of_e = 23637;  // in units of 2^-14; d times this stays below 2^31

}  // namespace

const std::array<std::uint16_t, 65>& exp2_table() {
  static const std::array<std::uint16_t, 65> table = [] {
    std::array<std::uint16_t, 65> t{};
    for (std::size_t i = 0; i < t.size(); ++i)
      t.at(i) = static_cast<std::uint16_t>(std::lround(16384 * std::exp2(-static_cast<double>(i) / 64)));
    return t;
  }();
  return table;
}

std::uint32_t exp_of_minus(std::uint32_t d, int f) {
  const std::uint32_t power = d * log2_of_e;
  const int fraction = f + 14;
  const std::uint32_t whole = power >> fraction;
  if (whole > 15) return 0;
  const std::uint32_t part = power & ((1u << fraction) - 1);
  const std::uint32_t i = part >> (fraction - 6), rest = (part >> (fraction - 16)) & 1023;  // 6 bits and 10 bits
  const std::uint32_t high = exp2_table().at(i), low = exp2_table().at(i + 1);
  const std::uint32_t value = high - (((high - low) * rest + 512) >> 10);
  return (value + ((1u << whole) >> 1)) >> whole;
}

std::vector<std::int32_t> softmax(const std::vector<std::int32_t>& logits, int f, int g) {
  const std::int32_t most = *std::max_element(logits.begin(), logits.end());
  std::vector<std::uint32_t> e;
  std::uint32_t sum = 0;
  for (const std::int32_t a : logits) {
    e.push_back(exp_of_minus(static_cast<std::uint32_t>(most - a), f));
    sum += e.back();
  }
  // The greatest logit has e = 2^14, so sum >= 2^14, inverse <= 2^16 and e · inverse <= 2^30.
  const std::uint32_t inverse = (1u << 30) / sum;
  std::vector<std::int32_t> p;
  for (const std::uint32_t one : e)
    p.push_back(static_cast<std::int32_t>((one * inverse + (1u << (29 - g))) >> (30 - g)));
  return p;
}

}  // namespace grapes::fixed
