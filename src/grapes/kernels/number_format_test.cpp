#include "grapes/kernels/number_format.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

namespace grapes::kernels {
namespace {

NumberFormat format(const std::string& text) { return number_format(text, "precision"); }

std::vector<double> values(const at::Tensor& x) {
  const at::Tensor flat = x.to(at::kDouble).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

std::vector<double> round_all(const std::vector<double>& x, const std::string& text) {
  return values(rounded(at::tensor(x, at::kDouble), format(text), 0, 1));
}

/// Numbers of many magnitudes, including ties and the largest and smallest.
at::Tensor numbers(at::ScalarType dtype) {
  at::manual_seed(1);
  const at::Tensor wide = at::randn({40, 6}) * at::exp2(at::randint(-30, 18, {40, 6}).to(at::kFloat));
  const at::Tensor ties = at::arange(-60, 60).to(at::kFloat).mul(1.0 / 16).reshape({20, 6});
  return at::cat({wide, ties, at::zeros({1, 6})}).to(dtype);
}

const std::vector<std::string>& all() {
  static const std::vector<std::string> names = {"bf16",        "fp16",         "e4m3",         "e5m2",  "int8",
                                                 "int4",        "int8:channel", "q5.12",        "q1.7",  "q8.0",
                                                 "e4m3:tensor", "q2.6:channel", "e5m2:channel", "int16", "int2"};
  return names;
}

TEST(NumberFormat, Bf16AndFp16EqualLibTorchs) {
  // LibTorch's own conversions, which round to the nearest, ties to even.
  const at::Tensor x = numbers(at::kFloat);
  EXPECT_TRUE(at::equal(rounded(x, format("bf16"), 0, 0), x.to(at::kBFloat16).to(at::kFloat)));
  const at::Tensor fits = x.clamp(-65504, 65504);
  EXPECT_TRUE(at::equal(rounded(x, format("fp16"), 0, 0), fits.to(at::kHalf).to(at::kFloat)));
}

TEST(NumberFormat, EightBitFloatsEqualValuesByHand) {
  // e4m3: 1.fff · 2^e, e >= -6, subnormals in steps of 2^-9, largest 448.
  EXPECT_THAT(round_all({1.0625, 1.1875, 17, 1000, -1000, 0x1p-9, 0x1p-10, 0x1.8p-9, 0.3}, "e4m3"),
              testing::ElementsAre(1, 1.25, 16, 448, -448, 0x1p-9, 0, 0x1p-8, 0.3125));
  // e5m2: 1.ff · 2^e, e >= -14, subnormals in steps of 2^-16, largest 57344.
  EXPECT_THAT(round_all({1.125, 1.375, 60000, 0x1p-16, 0x1p-17, 9}, "e5m2"),
              testing::ElementsAre(1, 1.5, 57344, 0x1p-16, 0, 8));
}

TEST(NumberFormat, EightBitFloatsHaveAsManyNumbersAsTheirBits) {
  // All numbers of e4m3 from 0 to 448: 15 exponents with 8 fractions each, and one with 7.
  std::set<double> found;
  for (double x = 0; x <= 500; x += 0x1p-11) found.insert(round_all({x}, "e4m3")[0]);
  EXPECT_EQ(found.size(), 127u);
  EXPECT_EQ(*found.rbegin(), 448);
}

TEST(NumberFormat, FixedPointSaturatesInTwosComplement) {
  EXPECT_THAT(round_all({0.3, -8, -9, 7.99999, 8, 0x1p-13, 0x1.8p-12}, "q4.12"),
              testing::ElementsAre(1229 / 4096.0, -8, -8, 8 - 0x1p-12, 8 - 0x1p-12, 0, 0x1p-11));
}

TEST(NumberFormat, IntegersHaveTheSmallestPowerOfTwoForAScale) {
  // 127 · 2^-6 >= 1.5 > 127 · 2^-7.
  EXPECT_THAT(round_all({1.5, 0.01, -0.02}, "int8"), testing::ElementsAre(1.5, 1 / 64.0, -1 / 64.0));
  EXPECT_THAT(round_all({127, 1.5}, "int8"), testing::ElementsAre(127, 2));
  EXPECT_THAT(round_all({128, 1.5}, "int8"), testing::ElementsAre(128, 2));
  EXPECT_THAT(round_all({0, 0}, "int8"), testing::ElementsAre(0, 0));
  const at::Tensor rows = at::tensor({100.0, 0.3, 0.001, 0.0007}, at::kDouble).reshape({2, 2});
  const at::Tensor by_row = rounded(rows, format("int8:channel"), 0, 0);
  EXPECT_THAT(values(by_row), testing::ElementsAre(100, 0, 66 * 0x1p-16, 46 * 0x1p-16));
}

TEST(NumberFormat, NumbersOfTheFormatDoNotChange) {
  for (const std::string& name : all()) {
    const at::Tensor once = rounded(numbers(at::kFloat), format(name), 0, 0);
    EXPECT_TRUE(at::equal(rounded(once, format(name), 0, 0), once)) << name;
    EXPECT_TRUE(at::equal(rounded(once, format(name + ":stochastic"), 0, 7), once)) << name;
  }
}

TEST(NumberFormat, TheLoopEqualsItsReference) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble})
    for (const std::string& name : all())
      for (const std::string chance : {"", ":stochastic"})
        for (const std::int64_t axis : {0, 1}) {
          const at::Tensor x = numbers(dtype);
          EXPECT_TRUE(
              at::equal(rounded(x, format(name + chance), axis, 5), plain::rounded(x, format(name + chance), axis, 5)))
              << name << chance << " axis " << axis;
        }
}

TEST(NumberFormat, ChannelScalesUseTheAxisOfTheChannels) {
  // [batch, channel, row, column], and kernels [channel, channel, 3, 3].
  at::manual_seed(2);
  for (const auto& [sizes, axis] : {std::pair(std::vector<std::int64_t>{5, 3, 4, 6}, std::int64_t{1}),
                                    std::pair(std::vector<std::int64_t>{3, 3, 3, 3}, std::int64_t{0})}) {
    std::vector<std::int64_t> along(sizes.size(), 1);
    along[static_cast<std::size_t>(axis)] = 3;
    const at::Tensor x = at::randn(sizes) * at::tensor({1.0, 1e3, 1e-3}).view(along);
    for (const char* name : {"int8:channel", "e5m2:channel:stochastic"}) {
      const at::Tensor y = rounded(x, format(name), axis, 5);
      EXPECT_TRUE(at::equal(y, plain::rounded(x, format(name), axis, 5))) << name << axis;
      for (std::int64_t c = 0; c < 3 && name == std::string("int8:channel");
           ++c)  // each channel like a tensor of its own
        EXPECT_TRUE(at::equal(y.select(axis, c), rounded(x.select(axis, c), format("int8"), 0, 5))) << axis;
    }
  }
}

TEST(NumberFormat, StochasticRoundingKeepsTheMean) {
  const std::int64_t n = 40000;
  const at::Tensor x = at::full({n}, 0.3, at::kDouble);
  const at::Tensor y = rounded(x, format("q5.1:stochastic"), 0, 3);  // 0 or 0.5
  // The standard error of this mean is 0.5 √(0.6 · 0.4 / n).
  EXPECT_NEAR(y.mean().item<double>(), 0.3, 4 * 0.5 * std::sqrt(0.24 / n));
  EXPECT_FALSE(at::equal(y, rounded(x, format("q5.1:stochastic"), 0, 4)));
  EXPECT_TRUE(at::equal(y, rounded(x, format("q5.1:stochastic"), 0, 3)));
}

TEST(NumberFormat, ScalesBroadcastOverTheTensor) {
  const at::Tensor x = at::tensor({0.9, -0.4, 7.0, 5.0, 0.0, 0.0}, at::kDouble).view({3, 2});
  EXPECT_TRUE(at::equal(scales(x, format("int4"), 0), at::scalar_tensor(1.0, at::kDouble)));
  EXPECT_TRUE(at::equal(scales(x, format("int4:channel"), 0), at::tensor({0.25, 1.0, 1.0}, at::kDouble).view({3, 1})));
  EXPECT_TRUE(at::equal(scales(x * 10, format("q4.4"), 0), at::scalar_tensor(1.0, at::kDouble)));
}

TEST(NumberFormat, KeepsNotANumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const char* name : {"bf16", "q4.4", "e4m3"}) EXPECT_TRUE(std::isnan(round_all({nan, 1}, name)[0])) << name;
  // NaN does not affect the scale.
  const at::Tensor x = at::tensor({nan, 100.0, 0.3, nan}, at::kDouble).reshape({2, 2});
  for (const char* name : {"int8", "int8:channel", "e4m3:tensor"}) {
    const at::Tensor fast = rounded(x, format(name), 0, 1), reference = plain::rounded(x, format(name), 0, 1);
    EXPECT_TRUE(at::equal(at::nan_to_num(fast, -7), at::nan_to_num(reference, -7))) << name << fast << reference;
    EXPECT_EQ(values(fast)[1], name == std::string("e4m3:tensor") ? 96 : 100) << name;
  }
}

TEST(NumberFormat, RoundTripsAsText) {
  std::vector<std::string> names = {"bf16", "fp16", "e4m3", "e5m2"};
  for (int bits = 2; bits <= 16; ++bits) names.push_back("int" + std::to_string(bits));
  for (int whole = 1; whole <= 25; ++whole)
    for (int fraction = whole == 1 ? 1 : 0; whole + fraction <= 25; ++fraction)
      names.push_back("q" + std::to_string(whole) + "." + std::to_string(fraction));
  EXPECT_EQ(to_string(format("float32")), "float32");
  for (const std::string& name : names) {
    const bool integer = name.starts_with("int");
    for (const std::string rounds : {"", ":stochastic"}) {
      for (const std::string scale : {"", ":channel", integer ? "" : ":tensor"})
        EXPECT_EQ(to_string(format(name + rounds + scale)), name + rounds + scale);
      // The default scale is not written, and the order of the words does not matter.
      const std::string usual = integer ? ":tensor" : ":unscaled";
      EXPECT_EQ(to_string(format(name + usual + rounds)), name + rounds);
    }
  }
  EXPECT_EQ(to_string(format("fp8-e5m2:tensor:stochastic")), "e5m2:stochastic:tensor");
}

TEST(NumberFormat, UnknownFormatsAreErrors) {
  for (const std::string text : {"int1", "int17", "q13.13", "q3", "q.3", "fp8", "int8:unscaled", "int8:often", "",
                                 "float32:stochastic", "int8:tensor:channel"}) {
    try {
      format(text);
      ADD_FAILURE() << text;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("precision: '" + text + "'")) << text;
    }
  }
  EXPECT_FALSE(format("float32"));
}

}  // namespace
}  // namespace grapes::kernels
