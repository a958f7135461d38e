#include "grapes/core/modulate.h"

#include "grapes/core/compat.h"
#include "grapes/core/feedback.h"
#include "grapes/core/responsibility.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>

namespace grapes {
namespace {

at::Tensor leaf(at::IntArrayRef shape, double first) {
  return at::arange(first, first + static_cast<double>(c10::multiply_integers(shape)), at::kDouble)
      .view(shape)
      .requires_grad_();
}

/// The error at z if the error at the output of f(z) is e.
template <class Operation>
at::Tensor error_at(const at::Tensor& z, const at::Tensor& e, Operation f) {
  z.mutable_grad() = at::Tensor();
  f(z).backward(e);
  return z.grad();
}

TEST(Modulate, KeepsTheValueAndScalesTheError) {
  const at::Tensor z = leaf({2, 3, 2}, -4), m = at::tensor({1.0, 1.5, 2.0}, at::kDouble);
  EXPECT_TRUE(at::equal(modulate(z, m), z));
  const at::Tensor e = at::arange(12, at::kDouble).view({2, 3, 2});
  EXPECT_TRUE(at::equal(error_at(z, e, [&](const at::Tensor& x) { return modulate(x, m); }), e * m.view({1, 3, 1})));
}

TEST(Modulate, OnAWeightScalesRowsOrColumnsOfItsGradient) {
  const at::Tensor W = leaf({2, 3}, 1), e = at::ones({2, 3}, at::kDouble);
  const at::Tensor rows = at::tensor({3.0, 5.0}, at::kDouble), columns = at::tensor({1.0, 2.0, 4.0}, at::kDouble);
  EXPECT_TRUE(
      at::equal(error_at(W, e, [&](const at::Tensor& x) { return modulate(x, rows, 0); }), rows.view({2, 1}) * e));
  EXPECT_TRUE(at::equal(error_at(W, e, [&](const at::Tensor& x) { return modulate(x, columns, 1); }), columns * e));
}

TEST(Modulate, SupportsOneFactorPerExample) {
  const at::Tensor z = leaf({2, 2}, 0), m = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble).view({2, 2});
  EXPECT_TRUE(at::equal(error_at(z, at::ones_like(z), [&](const at::Tensor& x) { return modulate(x, m); }), m));
}

TEST(Modulate, AFactorOfOneIsTheIdentityBitForBit) {
  const at::Tensor z = leaf({3, 4}, 0.1), e = at::randn({3, 4}, at::kDouble);
  EXPECT_TRUE(
      at::equal(error_at(z, e, [](const at::Tensor& x) { return modulate(x, at::ones({4}, at::kDouble)); }), e));
}

TEST(Modulate, RejectsShapesThatDoNotFit) {
  const at::Tensor z = at::zeros({2, 3}, at::kDouble);
  EXPECT_THROW(modulate(z, at::ones({2}, at::kDouble)), c10::Error);
  EXPECT_THROW(modulate(z, at::ones({3}, at::kFloat)), c10::Error);
  EXPECT_THROW(modulate(z, at::ones({3, 3}, at::kDouble)), c10::Error);
  EXPECT_THROW(modulate(z, at::ones({3}, at::kDouble), 2), c10::Error);
}

TEST(Feedback, SendsTheErrorThroughBAndPassesItOn) {
  const at::Tensor y = leaf({2, 2}, 0), x = leaf({2, 3}, 7), B = leaf({3, 2}, 1);
  const at::Tensor e = at::tensor({1.0, -1.0, 0.5, 2.0}, at::kDouble).view({2, 2});
  const at::Tensor out = feedback(y, x, B);
  EXPECT_TRUE(at::equal(out, y));
  out.backward(e);
  EXPECT_TRUE(at::equal(y.grad(), e));
  EXPECT_TRUE(at::equal(x.grad(), e.mm(B.detach().t())));
  EXPECT_FALSE(B.grad().defined());
}

TEST(Feedback, RejectsShapesThatDoNotFit) {
  const at::Tensor y = at::zeros({2, 2}), x = at::zeros({2, 3});
  EXPECT_THROW(feedback(y, x, at::zeros({2, 3})), c10::Error);
  EXPECT_THROW(feedback(y, at::zeros({3, 3}), at::zeros({3, 2})), c10::Error);
  EXPECT_THROW(feedback(y, x, at::zeros({3, 2}, at::kDouble)), c10::Error);
}

}  // namespace
}  // namespace grapes
