#include "grapes/fixed/factor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace grapes::fixed {
namespace {

TEST(Factor, EqualsTheExactFactorRoundedToTheNearestStep) {
  std::mt19937_64 random(1);
  for (int k = 0; k <= most_factor_bits; ++k)
    for (int round = 0; round < 2000; ++round) {
      const std::uint64_t most = 1 + random() % (round % 2 == 0 ? 50 : (std::uint64_t{1} << 40));
      const std::uint64_t r = random() % (most + 1);
      // In 80 bits: exact except for the division.
      const long double exact = std::ldexp(2.0L * static_cast<long double>(r) / static_cast<long double>(most) - 1, k);
      const long double nearest = std::fmin(std::fmax(std::floor(exact + 0.5L), 0.0L), std::ldexp(1.0L, k));
      ASSERT_EQ(factor_steps(r, most, k), static_cast<std::uint32_t>(nearest)) << r << " of " << most << ", k " << k;
    }
}

TEST(Factor, IsTwoForTheLargestResponsibilityAndOneForALayerOfZeros) {
  for (int k = 0; k <= most_factor_bits; ++k) {
    EXPECT_EQ(factor_steps({5, 0, 2}, k)[0], 1u << k);
    EXPECT_EQ(factor_steps({0, 0}, k), (std::vector<std::uint32_t>{0, 0}));
    EXPECT_EQ(factor_steps({(std::uint64_t{1} << 48) - 1, 1}, k)[0], 1u << k);
  }
  EXPECT_TRUE(factor_steps(std::vector<std::uint64_t>{}, 3).empty());
}

TEST(Factor, HalvesAreRoundedUp) {
  EXPECT_EQ(factor_steps(3, 4, 0), 1u);   // 1.5
  EXPECT_EQ(factor_steps(5, 8, 1), 1u);   // 1.25
  EXPECT_EQ(factor_steps(9, 16, 2), 1u);  // 1.125
  EXPECT_EQ(factor_steps(8, 16, 2), 0u);
}

TEST(Modulate, EqualsValuesByHand) {
  EXPECT_EQ(modulate(100, 3, 2, 16), 175);
  EXPECT_EQ(modulate(-3, 1, 1, 16), -4);  // -4.5, ties upward
  EXPECT_EQ(modulate(3, 1, 1, 16), 5);    // 4.5
  EXPECT_EQ(modulate(100, 1, 0, 8), 127);
  EXPECT_EQ(modulate(-100, 1, 0, 8), -128);
  EXPECT_EQ(modulate(7, 0, 4, 8), 7);
}

TEST(Responsibility, IsExactForTheMostNegativeWeight) {
  const std::int32_t w[] = {-128, 127, 0, -1};
  EXPECT_EQ(responsibility(w, 4), 256u);
  const std::int32_t lowest = INT32_MIN;
  EXPECT_EQ(responsibility(&lowest, 1), std::uint64_t{1} << 31);
}

}  // namespace
}  // namespace grapes::fixed
