#include "grapes/report/transfer.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace grapes::report {
namespace {

TEST(Transfer, WorkedByHand) {
  // Three tasks. The first falls from 0.9 to 0.6 and never was better than right after it; the second was best only
  // after itself, 0.8, and ends at 0.7; the third is learnt to 0.95.
  const Transfer t = transfer({{0.9, 0.3, 0.2}, {0.8, 0.8, 0.4}, {0.6, 0.7, 0.95}}, {0.1, 0.1, 0.15});
  EXPECT_DOUBLE_EQ(t.average_accuracy, (0.6 + 0.7 + 0.95) / 3);
  EXPECT_DOUBLE_EQ(t.learning_accuracy, (0.9 + 0.8 + 0.95) / 3);
  EXPECT_DOUBLE_EQ(t.forgetting, ((0.9 - 0.6) + (0.8 - 0.7)) / 2);
  EXPECT_DOUBLE_EQ(t.backward_transfer, ((0.6 - 0.9) + (0.7 - 0.8)) / 2);
  EXPECT_DOUBLE_EQ(t.forward_transfer, ((0.3 - 0.1) + (0.4 - 0.15)) / 2);
}

TEST(Transfer, ForgettingIsFromTheBestAndNotFromTheOwnTurn) {
  // The first task is best after the second, 0.95, so that it forgets 0.05 although it ends where it was: here
  // forgetting and backward transfer part.
  const Transfer t = transfer({{0.9, 0.5, 0.5}, {0.95, 0.8, 0.5}, {0.9, 0.85, 0.9}}, {0.5, 0.5, 0.5});
  EXPECT_DOUBLE_EQ(t.forgetting, ((0.95 - 0.9) + (0.8 - 0.85)) / 2);
  EXPECT_DOUBLE_EQ(t.backward_transfer, ((0.9 - 0.9) + (0.85 - 0.8)) / 2);
  EXPECT_DOUBLE_EQ(t.forward_transfer, 0);
}

TEST(Transfer, TwoTasks) {
  const Transfer t = transfer({{1, 0.5}, {0.5, 1}}, {0.5, 0.5});
  EXPECT_EQ(t.average_accuracy, 0.75);
  EXPECT_EQ(t.forgetting, 0.5);
  EXPECT_EQ(t.backward_transfer, -0.5);
}

TEST(Transfer, WhatIsNoMatrixIsRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(transfer({{1}}, {1}), std::invalid_argument);
  EXPECT_THROW(transfer({{1, 1}, {1}}, {1, 1}), std::invalid_argument);
  EXPECT_THROW(transfer({{1, 1}, {1, 1}}, {1}), std::invalid_argument);
  EXPECT_THROW(transfer({{1, nan}, {1, 1}}, {1, 1}), std::invalid_argument);
}

}  // namespace
}  // namespace grapes::report
