#include "grapes/core/responsibility.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <string>

namespace grapes {
namespace {

at::Tensor drawn(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble);
}

TEST(Responsibility, SumsMagnitudesOverEveryAxisExceptTheUnits) {
  const at::Tensor W = at::tensor({1.0, -2.0, 3.0, -4.0, 5.0, -6.0}).view({2, 3});
  EXPECT_TRUE(at::equal(responsibility(W), at::tensor({6.0, 15.0})));
  EXPECT_TRUE(at::equal(responsibility(W, {}, 1), at::tensor({5.0, 7.0, 9.0})));
  EXPECT_TRUE(at::equal(responsibility(at::full({4, 3, 2, 2}, -0.5)), at::full({4}, 6.0)));
  EXPECT_TRUE(at::equal(responsibility(W, at::tensor({1.0, 1.0, -1.0, -1.0}).view({2, 2})), at::tensor({8.0, 17.0})));
  EXPECT_TRUE(at::equal(responsibility(W, {}, 0, at::tensor({0.0, 2.0})), at::tensor({0.0, 30.0})));
  EXPECT_TRUE(at::equal(responsibility(W, {}, 1, at::tensor({0.0, 2.0})), at::tensor({8.0, 10.0, 12.0})));
}

TEST(Responsibility, TheMeanIsOverWeightsThatAreNotZero) {
  const at::Tensor W = at::tensor({1.0, -2.0, 0.0, 0.0, 0.0, -6.0, 0.0, 0.0, 0.0}).view({3, 3});
  EXPECT_TRUE(at::equal(responsibility(W, {}, 0, {}, true), at::tensor({1.5, 6.0, 0.0})));
  EXPECT_TRUE(at::equal(responsibility(W, {}, 1, {}, true), at::tensor({1.0, 2.0, 6.0})));
  const at::Tensor R = at::tensor({3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0}).view({3, 3});
  EXPECT_TRUE(at::equal(responsibility(W, R, 0, {}, true), at::tensor({2.0, 6.0, 5.0})));
  EXPECT_TRUE(at::equal(responsibility(W, {}, 0, at::tensor({1.0, 0.0, 1.0}), true), at::tensor({1.5, 0.0, 0.0})));
  const at::Tensor dense = drawn({4, 3, 2, 2}, 1);
  EXPECT_TRUE(at::allclose(responsibility(dense, {}, 0, {}, true), responsibility(dense) / 12, 1e-15, 0));
}

TEST(Responsibility, RejectsShapesThatDoNotFit) {
  const at::Tensor W = at::ones({2, 3});
  EXPECT_THROW(responsibility(W, at::ones({3, 3})), c10::Error);
  EXPECT_THROW(responsibility(W, {}, 2), c10::Error);
  EXPECT_THROW(responsibility(W, {}, 0, at::ones({3})), c10::Error);
  EXPECT_THROW(responsibility(at::ones({2, 3}, at::kLong)), c10::Error);
}

RC_GTEST_PROP(Factor, IgnoresScaleAndSignAndFollowsPermutations, (std::uint64_t seed)) {
  const std::int64_t rows = *rc::gen::inRange(1, 9), columns = *rc::gen::inRange(1, 9);
  const at::Tensor W = drawn({rows, columns, 2}, seed);
  const at::Tensor m = factor(W);
  RC_ASSERT(at::equal(factor(W * -4), m));  // a power of two: exact
  RC_ASSERT(at::allclose(factor(W * 0.3), m, 1e-14, 0));
  const at::Tensor order = at::randperm(rows, at::make_generator<at::CPUGeneratorImpl>(seed), at::kLong);
  RC_ASSERT(at::equal(factor(W.index_select(0, order)), m.index_select(0, order)));
  RC_ASSERT(m.max().item<double>() == 2.0);
  RC_ASSERT(m.min().item<double>() >= 1.0);
  const at::Tensor bare = factor(W, {}, 0, {}, 2, 0, 2);
  RC_ASSERT(bare.max().item<double>() == 2.0);
  RC_ASSERT(bare.min().item<double>() > 0.0);
}

TEST(Factor, IsTwoForEqualRowsAndOneForALayerOfZeros) {
  EXPECT_TRUE(at::equal(factor(at::full({3, 4}, -0.7)), at::full({3}, 2.0)));
  EXPECT_TRUE(at::equal(factor(at::zeros({3, 4})), at::ones({3})));
  EXPECT_TRUE(at::equal(factor(at::tensor({1.0, 0.0}).view({2, 1})), at::tensor({2.0, 1.0})));
  EXPECT_TRUE(at::equal(factor(at::tensor({1.0, 0.0}).view({2, 1}), {}, 0, {}, 2, 0, 2), at::tensor({2.0, 0.0})));
}

TEST(Factor, SupportsGainAndRange) {
  const at::Tensor W = at::tensor({4.0, 2.0, 1.0}, at::kDouble).view({3, 1});
  EXPECT_TRUE(at::equal(factor(W, {}, 0, {}, 3, 0, 3), at::tensor({3.0, 1.5, 0.75}, at::kDouble)));
  EXPECT_TRUE(at::equal(factor(W, {}, 0, {}, 2, 0.6, 1.5), at::tensor({1.5, 1.0, 0.6}, at::kDouble)));
  EXPECT_THROW(factor(W, {}, 0, {}, 0), c10::Error);
  EXPECT_THROW(factor(W, {}, 0, {}, 2, 2, 1), c10::Error);
}

TEST(Factor, RejectsWeightsThatAreNotFinite) {
  for (const double bad : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    at::Tensor W = at::ones({2, 2}, at::kDouble);
    W[1][0] = bad;
    EXPECT_THROW(factor(W), c10::ValueError);
  }
}

TEST(Factor, KeepsTheDtypeAndHasNoGradient) {
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const at::Tensor W = at::ones({2, 3}, dtype).requires_grad_();
    EXPECT_EQ(factor(W).scalar_type(), dtype);
    EXPECT_FALSE(factor(W).requires_grad());
  }
}

}  // namespace
}  // namespace grapes
