// Reads of arrays: products in both directions, responsibility.
#include "grapes/analog/crossbar_test.h"

namespace grapes::analog {
namespace {

TEST(Crossbar, ReadsInBothDirections) {
  Options options = exact_reads();
  options.scale = 3;
  for (const char* name : {"constant-step", "pcm"}) {
    Crossbar c = make_crossbar(quiet(name), 4, 6, options, 1);
    const at::Tensor W = randoms({4, 6}, 1) * 0.1, x = randoms({5, 6}, 2), error = randoms({5, 4}, 3);
    program(c, W, 0);
    EXPECT_LT(largest(weights(c) - W), 1e-6);
    EXPECT_LT(largest(forward(c, x, 1) - x.matmul(W.t())), 1e-5);
    EXPECT_LT(largest(backward(c, error, 1) - error.matmul(W)), 1e-5);
  }
  // Each direction has its own switch.
  options = {};
  options.real.forward = false;
  Crossbar c = make_crossbar(quiet("pcm"), 4, 6, options, 1);
  program(c, randoms({4, 6}, 1), 0);
  const at::Tensor x = randoms({5, 6}, 2), error = randoms({5, 4}, 3);
  EXPECT_TRUE(at::equal(forward(c, x, 1), x.matmul(weights(c).t())));
  EXPECT_GT(largest(backward(c, error, 1) - error.matmul(weights(c))), 1e-3);
}

TEST(Crossbar, ReadNoiseOfPcmGrowsWithTheConductance) {
  Device device = quiet("pcm");
  device.read_noise = named("pcm").read_noise;
  Crossbar c = make_crossbar(device, 1, 2, exact_reads(), 1);
  program(c, at::tensor({2.0F, -0.2F}).reshape({1, 2}), 0);
  at::Tensor x = at::zeros({20'000, 2});
  for (const std::int64_t i : {0, 1}) {
    x.zero_().select(1, i).fill_(1);
    const double g = i == 0 ? 1 : 0.1, sd = device.read_noise * std::pow(g, 0.35);
    const at::Tensor y = forward(c, x, i);
    EXPECT_NEAR(y.mean().item<double>(), i == 0 ? 2 : -0.2, 5 * sd / std::sqrt(20'000));
    EXPECT_NEAR(y.std().item<double>(), sd, 5 * sd / std::sqrt(40'000)) << i;
  }
}

TEST(Responsibility, SummedIsTheSumOfMagnitudesRightAfterWriting) {
  Options options = exact_reads();
  options.scale = 2;
  Crossbar c = make_crossbar(quiet("pcm"), 4, 60, options, 1);
  const at::Tensor W = randoms({4, 60}, 1) * 0.3;
  program(c, W, 0);
  EXPECT_LT(largest(responsibility(c, Sensing::summed, 0, 1) - W.abs().sum(1)), 1e-4);
  EXPECT_LT(largest(responsibility(c, Sensing::serial, 0, 1) - W.abs().sum(1)), 1e-4);
  EXPECT_LT(largest(responsibility(c, Sensing::exact, 0, 1) - W.abs().sum(1)), 1e-4);
}

TEST(Responsibility, TheSummedReadCountsTheCommonPartOfAPairTwice) {
  Crossbar c = make_crossbar(quiet("pcm"), 1, 2, exact_reads(), 1);
  c.plus.state.copy_(at::tensor({1.0F, 0.25F}).reshape({1, 2}));
  c.minus.state.copy_(at::tensor({0.5F, 1.25F}).reshape({1, 2}));
  // |0.5| + |-1| = 1.5, plus 2 (0.5 + 0.25).
  EXPECT_FLOAT_EQ(responsibility(c, Sensing::exact, 0, 1).item<float>(), 1.5F);
  EXPECT_FLOAT_EQ(responsibility(c, Sensing::summed, 0, 1).item<float>(), 3);
  EXPECT_FLOAT_EQ(responsibility(c, 0, 1).item<float>(), 3);  // what pairs do by themselves
}

TEST(Responsibility, TheSummedReadOfReferencePairsHasSigns) {
  Crossbar c = make_crossbar(quiet("constant-step"), 1, 3, exact_reads(), 1);
  program(c, at::tensor({0.5F, -0.25F, -0.125F}).reshape({1, 3}), 0);
  EXPECT_NEAR(responsibility(c, Sensing::summed, 0, 1).item<double>(), 0.125, 1e-6);
  EXPECT_NEAR(responsibility(c, Sensing::serial, 0, 1).item<double>(), 0.875, 1e-6);
  EXPECT_NEAR(responsibility(c, 0, 1).item<double>(), 0.875, 1e-6);
}

TEST(Responsibility, OfInputsReadsTheArrayInTheOtherDirection) {
  Options options = exact_reads();
  options.scale = 2;
  for (const char* name : {"pcm", "constant-step"}) {
    Crossbar c = make_crossbar(quiet(name), 4, 60, options, 1);
    program(c, randoms({4, 60}, 1) * 0.2, 0);
    const at::Tensor exact = weights(c).abs().sum(0);
    EXPECT_TRUE(at::equal(responsibility(c, Sensing::exact, 1, 1), exact));
    EXPECT_LT(largest(responsibility(c, Sensing::serial, 1, 1) - exact), 1e-4);
    EXPECT_LT(largest(responsibility(c, 1, 1) - exact), 1e-4) << name;  // summed for pcm
  }
  Crossbar c = make_crossbar(named("pcm"), 60, 60, {}, 1);
  program(c, at::ones({60, 60}) * 0.2, 0);  // the transposed array is the same, but not the noise
  EXPECT_FALSE(at::equal(responsibility(c, 0, 1), responsibility(c, 1, 1)));
}

TEST(Responsibility, NoiseOfTheSummedReadHasNoBias) {
  // More than half a step of the ADC. With a mean of 0.3 no row of 60 reaches the bound of 20 · 2, so a = 1 and the
  // step is 40 / 255. The noise of many steps dithers that too; the rest is chance.
  const Device device = named("pcm");
  Crossbar c = make_crossbar(device, 4, 60, {}, 1);
  program(c, randoms({4, 60}, 1) * 0.3, 0);
  constexpr std::int64_t reads = 2000;
  at::Tensor sum = at::zeros({4}, at::kDouble), squares = at::zeros({4}, at::kDouble);
  for (std::int64_t k = 0; k < reads; ++k) {
    const at::Tensor r = responsibility(c, Sensing::summed, 0, k).to(at::kDouble);
    sum += r, squares += r.square();
  }
  const at::Tensor mean = sum / static_cast<double>(reads);
  const at::Tensor sd = (squares / static_cast<double>(reads) - mean.square()).sqrt();
  const at::Tensor error = (mean - responsibility(c, Sensing::exact, 0, 0)).abs();
  EXPECT_LT(largest(error / (5 * sd / std::sqrt(reads) + 0.5 * 40 / 255)), 1);
  EXPECT_GT(sd.min().item<double>(), 0.2);  // it does see noise
}

TEST(Responsibility, SerialReadsSmallWeightsTooLarge) {
  Device device = quiet("constant-step");
  device.read_noise = 0.1;
  Crossbar c = make_crossbar(device, 50, 200, exact_reads(), 1);
  // All weights 0: E|ε| = 0.1 sqrt(2/π) each.
  EXPECT_NEAR(responsibility(c, Sensing::serial, 0, 1).mean().item<double>(), 200 * 0.1 * std::sqrt(2 / M_PI), 0.1);
}

}  // namespace
}  // namespace grapes::analog
