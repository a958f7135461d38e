#include "grapes/fixed/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace grapes::fixed {
namespace {

TEST(FixedSoftmax, TheExponentialIsWithinItsBoundForEveryInput) {
  for (int f = 5; f <= 14; ++f)
    for (std::uint32_t d = 0; d <= 65535; ++d) {
      const double exact = 16384 * std::exp(-std::ldexp(static_cast<double>(d), -f));
      ASSERT_LE(std::abs(exp_of_minus(d, f) - exact), 1.5) << "d " << d << ", f " << f;
    }
}

TEST(FixedSoftmax, IsWithinItsBound) {
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    const int f = 5 + round % 10, g = 5 + round / 10 % 10;
    std::vector<std::int32_t> logits(1 + random() % 20);
    const std::int32_t width = 1 << (random() % 16);
    for (std::int32_t& a : logits) a = static_cast<std::int32_t>(random() % static_cast<unsigned>(2 * width)) - width;
    double sum = 0;
    for (const std::int32_t a : logits) sum += std::exp(std::ldexp(a - logits[0], -f));
    const std::vector<std::int32_t> p = softmax(logits, f, g);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double exact = std::ldexp(std::exp(std::ldexp(logits[i] - logits[0], -f)) / sum, g);
      if (!std::isfinite(exact)) continue;
      const double bound = 0.5 + std::ldexp(2.0 + static_cast<double>(logits.size()), g - 14);
      ASSERT_LE(std::abs(p[i] - exact), bound) << "f " << f << ", g " << g;
    }
  }
}

TEST(FixedSoftmax, EqualsValuesByHand) {
  EXPECT_EQ(exp2_table()[64], 8192);
  EXPECT_EQ(exp_of_minus(0, 10), 16384u);
  EXPECT_EQ(exp_of_minus(1 << 10, 10), 6028u);  // 16384 / e = 6027.3; the tables' 12055 / 2
  EXPECT_EQ(exp_of_minus(65535, 5), 0u);
  EXPECT_EQ(softmax({7, 7}, 10, 13), (std::vector<std::int32_t>{4096, 4096}));
  EXPECT_EQ(softmax({-32768, 32767}, 10, 13), (std::vector<std::int32_t>{0, 8192}));
  EXPECT_EQ(softmax({-5}, 10, 14), (std::vector<std::int32_t>{16384}));
}

}  // namespace
}  // namespace grapes::fixed
