#include "grapes/fixed/tile.h"

#include "grapes/base/error.h"
#include "grapes/fixed/factor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace grapes::fixed {
namespace {

using Numbers = std::vector<std::int32_t>;
using Steps = std::vector<std::uint32_t>;

TEST(Tile, EqualsValuesByHand) {
  // δ' = 10 · 1.5 = 15 and -4 · 2 = -8; 15·16/16, 15·8/16 = 7.5, 15·-8/16 = -7.5, ties upward: 8 and -7.
  Numbers weights{0, 0, 0, 100, -100, 3};
  update(weights, Numbers{10, -4}, Steps{2, 4}, Numbers{16, 8, -8}, {.weight = 8, .factor = 2, .shift = 4});
  EXPECT_EQ(weights, (Numbers{-15, -8, 7, 108, -96, -1}));
}

TEST(Tile, SaturatesTheErrorAndTheWeight) {
  // 100 · 2 saturates to 127 in 8 bits; -128 · 2 stays -128.
  Numbers weights{-120, 120};
  update(weights, Numbers{100}, Steps{1}, Numbers{1, -1}, {.factor = 0, .shift = 0});
  EXPECT_EQ(weights, (Numbers{-128, 127}));
  weights = {0, 0};
  update(weights, Numbers{-128}, Steps{1}, Numbers{-128, 127}, {.weight = 16, .factor = 0, .shift = 0});
  EXPECT_EQ(weights, (Numbers{-16384, 16256}));
}

TEST(Tile, IsExactForTheWidestNumbers) {
  Numbers weights{0};
  update(weights, Numbers{INT32_MIN}, Steps{0}, Numbers{INT32_MIN}, {32, 32, 32, 8, 62});
  EXPECT_EQ(weights[0], -1);
  update(weights, Numbers{INT32_MIN}, Steps{0}, Numbers{INT32_MIN}, {32, 32, 32, 8, 0});
  EXPECT_EQ(weights[0], INT32_MIN);
}

TEST(Tile, EqualsTheSameInFloatingPoint) {
  std::mt19937_64 random(7);
  const auto draw = [&](int bits) {
    return static_cast<std::int32_t>(random() % (std::uint64_t{1} << bits)) - (std::int32_t{1} << (bits - 1));
  };
  for (int round = 0; round < 2000; ++round) {
    const Widths widths{2 + static_cast<int>(random() % 15), 2 + static_cast<int>(random() % 11),
                        2 + static_cast<int>(random() % 11), static_cast<int>(random() % 9),
                        static_cast<int>(random() % 20)};
    Numbers weights(6), errors(2), activations(3);
    Steps steps(2);
    for (auto& w : weights) w = draw(widths.weight);
    for (auto& e : errors) e = draw(widths.error);
    for (auto& x : activations) x = draw(widths.activation);
    for (auto& j : steps) j = static_cast<std::uint32_t>(random() % ((1u << widths.factor) + 1));
    Numbers after = weights;
    update(after, errors, steps, activations, widths);
    // Every product is below 2^53, so doubles are exact.
    const auto fit = [](double value, int bits) {
      return std::fmin(std::fmax(value, -std::ldexp(1, bits - 1)), std::ldexp(1, bits - 1) - 1);
    };
    for (std::size_t n = 0; n < 2; ++n)
      for (std::size_t i = 0; i < 3; ++i) {
        const double m = 1 + steps[n] / std::ldexp(1, widths.factor);
        const double error = fit(std::floor(errors[n] * m + 0.5), widths.error);
        const double change = widths.shift == 0 ? error * activations[i]
                                                : std::floor(std::ldexp(error * activations[i], -widths.shift) + 0.5);
        ASSERT_EQ(after[n * 3 + i], fit(weights[n * 3 + i] - change, widths.weight)) << "round " << round;
      }
  }
}

TEST(Tile, RejectsInvalidInputsWithoutChangingTheWeights) {
  const auto message = [](Numbers weights, const Numbers& errors, const Steps& steps, const Numbers& activations,
                          const Widths& widths) -> std::string {
    const Numbers before = weights;
    try {
      update(weights, errors, steps, activations, widths);
    } catch (const UsageError& error) {
      EXPECT_EQ(weights, before);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({1}, {1}, {0}, {1}, {.weight = 33}), "tile: weight bits must be 2 to 32; got 33");
  EXPECT_EQ(message({1}, {1}, {0}, {1}, {.factor = 9}), "tile: factor bits must be 0 to 8; got 9");
  EXPECT_EQ(message({1}, {1}, {5}, {1}, {}), "tile: factor 0 is 5 steps; 2 fraction bits have at most 4");
  EXPECT_EQ(message({1, 1}, {1, 128}, {0, 0}, {1}, {}), "tile: error 1 is 128, which does not fit into 8 bits");
  EXPECT_THAT(message({1, 2, 3}, {1, 1}, {0, 0}, {1}, {}),
              testing::HasSubstr("2 errors, 2 factors and 1 activations for 3 weights"));
}

}  // namespace
}  // namespace grapes::fixed
