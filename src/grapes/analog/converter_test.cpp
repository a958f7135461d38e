// Rounding, bounds and noise of DAC and ADC.
#include "grapes/analog/converter.h"

#include "grapes/analog/crossbar_test.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace grapes::analog {
namespace {

const Converter exact = {0, 0, 1, inf, 0, false, false};

TEST(Quantize, ThreeBitsAreSevenLevels) {
  // With a bound of 1.5, levels -3 ... 3 are 0.5 apart. Ties go to the even level.
  const at::Tensor v = at::tensor({-9.0, -1.3, -0.25, -0.2, 0.0, 0.24, 0.25, 0.26, 0.75, 1.49, 2.0});
  const at::Tensor expected = at::tensor({-1.5, -1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 1.5});
  EXPECT_TRUE(at::equal(quantize(v, 3, 1.5), expected)) << quantize(v, 3, 1.5);
}

TEST(Quantize, WithoutBitsOnlyClips) {
  EXPECT_TRUE(at::equal(quantize(at::tensor({-2.0, 0.123}), 0, 1), at::tensor({-1.0, 0.123})));
  EXPECT_TRUE(at::equal(quantize(at::tensor({-2.0, 0.123}), 0, inf), at::tensor({-2.0, 0.123})));
}

TEST(Quantize, TheErrorIsAtMostHalfALevel) {
  const at::Tensor v = at::rand({10'000}, at::kDouble) * 2 - 1;
  for (const int bits : {2, 7, 9}) {
    const double half = 0.5 / (std::ldexp(1.0, bits - 1) - 1);
    const double most = largest(quantize(v, bits, 1) - v);
    EXPECT_LE(most, half + 1e-12);
    EXPECT_GT(most, 0.95 * half);
  }
}

TEST(Read, AnExactConverterReturnsTheProduct) {
  at::manual_seed(1);
  const at::Tensor G = at::randn({4, 6}), v = at::randn({3, 6}) * 0.2;
  EXPECT_LT(largest(read({G, {}, 1}, v, exact, 1) - at::matmul(v.clamp(-1, 1), G.t())), 1e-5);
}

TEST(Read, WithoutNoiseManagementInputsAreClipped) {
  const at::Tensor G = at::ones({1, 2}), v = at::tensor({3.0F, 0.5F}).reshape({1, 2});
  EXPECT_FLOAT_EQ(read({G, {}, 1}, v, exact, 1).item<float>(), 1.5F);
}

TEST(Read, WithNoiseManagementTheScaleOfInputsDoesNotMatter) {
  at::manual_seed(2);
  Converter converter;
  const at::Tensor G = at::randn({4, 6}) * 0.1, v = at::randn({3, 6});
  const at::Tensor large = read({G, {}, 1}, v, converter, 5), small = read({G, {}, 1}, v * 0x1p-10, converter, 5);
  EXPECT_TRUE(at::equal(small * 0x1p10, large));
  EXPECT_TRUE(at::equal(read({G, {}, 1}, at::zeros({3, 6}), {7, 9, 1, 20, 0, true, true}, 5), at::zeros({3, 4})));
}

TEST(Read, BoundManagementReadsAgainUntilItFits) {
  Converter converter = {0, 0, 1, 10, 0, true, false};
  const at::Tensor G = at::ones({1, 35}), v = at::ones({2, 35});
  v.slice(0, 1, 2).slice(1, 0, 30).zero_();  // the second sample sums to 5
  const at::Tensor cut = read({G, {}, 1}, v, converter, 1);
  EXPECT_FLOAT_EQ(cut[0].item<float>(), 10);
  EXPECT_FLOAT_EQ(cut[1].item<float>(), 5);
  converter.bound_management = true;
  const at::Tensor whole = read({G, {}, 1}, v, converter, 1);
  EXPECT_FLOAT_EQ(whole[0].item<float>(), 35);
  EXPECT_FLOAT_EQ(whole[1].item<float>(), 5);
}

TEST(Read, NoiseOfDevicesAndOutputsAddUp) {
  // Inputs 1, -0.5 with a standard deviation of 0.3 each, output noise 0.4: variance 0.09 · 1.25 + 0.16 = 0.2725.
  Converter converter = exact;
  converter.output_noise = 0.2;
  const Array array{at::zeros({50, 2}), at::full({50, 2}, 0.09), 2};
  const at::Tensor y = read(array, at::tensor({1.0F, -0.5F}).reshape({1, 2}).repeat({400, 1}), converter, 3).flatten();
  const double n = 20'000;
  EXPECT_NEAR(y.mean().item<double>(), 0, 5 * std::sqrt(0.2725 / n));
  EXPECT_NEAR(y.square().mean().item<double>(), 0.2725, 5 * 0.2725 * std::sqrt(2 / n));
}

TEST(Read, BitsWithoutABoundAreAnError) { EXPECT_THROW(quantize(at::ones({1}), 8, inf), c10::ValueError); }

}  // namespace
}  // namespace grapes::analog
