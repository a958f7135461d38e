#include "grapes/core/rounding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace grapes {
namespace {

using kernels::number_format;

TEST(Rounding, RoundingAValuePassesTheErrorUnchanged) {
  const at::Tensor x = at::tensor({0.3, -0.7, 2.0}, at::kDouble).requires_grad_();
  const at::Tensor y = round_value(x, number_format("q2.1", "x"), 0, 0);
  EXPECT_TRUE(at::equal(y, at::tensor({0.5, -0.5, 1.5}, at::kDouble)));
  (y * at::tensor({1.0, 2.0, 3.0}, at::kDouble)).sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), at::tensor({1.0, 2.0, 3.0}, at::kDouble)));
}

TEST(Rounding, RoundingAnErrorPassesTheValueUnchanged) {
  const at::Tensor x = at::tensor({0.3, -0.7, 2.0}, at::kDouble).requires_grad_();
  const at::Tensor y = round_error(x, number_format("q2.1", "x"), 0, 0);
  EXPECT_TRUE(at::equal(y, x));
  (y * at::tensor({0.3, 0.8, 30.0}, at::kDouble)).sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), at::tensor({0.5, 1.0, 1.5}, at::kDouble)));
}

TEST(Rounding, RoundsTheSumOfAllErrors) {
  const at::Tensor x = at::ones({1}, at::kDouble).requires_grad_();
  const at::Tensor y = round_error(x * 1, number_format("q4.0", "x"), 0, 0);
  (y * 0.4 + y * 0.4).sum().backward();  // 0.8 rounds to 1; rounded one by one, both would be 0
  EXPECT_EQ(x.grad().item<double>(), 1);
}

TEST(Rounding, WithoutAFormatReturnsTheTensorItself) {
  const at::Tensor x = at::ones({2}).requires_grad_();
  EXPECT_TRUE(round_value(x, {}, 0, 0).is_same(x));
  EXPECT_TRUE(round_error(x, {}, 0, 0).is_same(x));
}

}  // namespace
}  // namespace grapes
