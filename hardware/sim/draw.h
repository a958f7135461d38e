#pragma once

#include <cstdint>
#include <random>

/// The tests' random numbers, seeded by each test.
using Random = std::mt19937_64;

inline bool chance(Random& random, double probability) {
  return static_cast<double>(random() >> 11) * 0x1p-53 < probability;
}

/// Returns a random number of `bits` bits in two's complement. One in four is a limit of the range, 0 or -1, which test
/// the carries.
inline std::int32_t draw(Random& random, int bits) {
  const std::int64_t most = (std::int64_t{1} << (bits - 1)) - 1;
  switch (random() % 16) {
    case 0:
      return static_cast<std::int32_t>(-most - 1);
    case 1:
      return static_cast<std::int32_t>(most);
    case 2:
      return 0;
    case 3:
      return -1;
    default:
      return static_cast<std::int32_t>(static_cast<std::int64_t>(random() >> (64 - bits)) - most - 1);
  }
}
