#include "grapes/fixed/activation.h"

#include "grapes/base/table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace grapes::fixed {
namespace {

const Activation& row(std::string_view name) { return find_row(activations(), "activation", name); }

TEST(FixedActivation, TheErrorIsWithinItsBoundForEveryInteger) {
  struct Case {
    std::string_view name;
    double (*exact)(double z);
    double off;  // error of the table and of its linear interpolation
  };
  const Case cases[] = {{"relu", [](double z) { return std::fmax(z, 0); }, -0.5},
                        {"identity", [](double z) { return z; }, -0.5},
                        {"tanh", [](double z) { return std::tanh(z); }, 1.0 / 8000},
                        {"sigmoid", [](double z) { return 1 / (1 + std::exp(-z)); }, 1.0 / 16000}};
  for (const Case& c : cases)
    for (const int f : {5, 10, 14})
      for (std::int32_t z = -32768; z <= 32767; ++z) {
        const double one = std::ldexp(1.0, f);
        const double bound = c.off < 0 ? 0 : 0.5 + c.off * one;
        ASSERT_LE(std::abs(row(c.name).value(z, f) - c.exact(z / one) * one), bound)
            << c.name << " " << z << " f " << f;
      }
}

TEST(FixedActivation, TheDerivativeFollowsFromTheValue) {
  constexpr int f = 12;
  constexpr double one = 1 << f;
  for (std::int32_t h = -4096; h <= 4096; h += 64)
    for (const std::int32_t error : {-32768, -1001, 0, 1, 32767}) {
      const double v = h / one;
      EXPECT_EQ(row("relu").derivative(error, h, f), h > 0 ? error : 0);
      EXPECT_EQ(row("identity").derivative(error, h, f), error);
      // The slope is rounded to 2^-13 and multiplied by |error|.
      const double bound = 0.5 + 0.5 * std::abs(error) / one;
      EXPECT_LE(std::abs(row("tanh").derivative(error, h, f) - error * (1 - v * v)), bound);
      if (h < 0) continue;
      EXPECT_LE(std::abs(row("sigmoid").derivative(error, h, f) - error * v * (1 - v)), bound);
    }
}

TEST(FixedActivation, EqualsValuesByHand) {
  EXPECT_EQ(tanh_table()[0], 0);
  EXPECT_EQ(tanh_table()[32], 24956);  // tanh 1 = 0.7615941559
  EXPECT_EQ(tanh_table()[256], 32768);
  EXPECT_EQ(row("tanh").value(1 << 10, 10), 780);  // 24956 / 32 = 779.875
  EXPECT_EQ(row("tanh").value(-(1 << 10), 10), -780);
  EXPECT_EQ(row("tanh").value(-32768, 10), -1024);
  EXPECT_EQ(row("sigmoid").value(0, 10), 512);
  EXPECT_EQ(row("tanh").derivative(100, 512, 10), 75);     // 1 - 1/4
  EXPECT_EQ(row("sigmoid").derivative(100, 512, 10), 25);  // 1/2 - 1/4
}

}  // namespace
}  // namespace grapes::fixed
