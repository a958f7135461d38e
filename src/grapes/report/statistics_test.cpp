#include "grapes/report/statistics.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <stdexcept>

// The golden numbers come from tools/golden_statistics.py.
namespace grapes::report {
namespace {

const std::vector<double> scores = {0.8812, 0.8794, 0.8843, 0.8801, 0.8825};

TEST(Mean, AndStandardDeviationEqualValuesByHand) {
  EXPECT_DOUBLE_EQ(mean({1, 2, 3, 4}), 2.5);
  EXPECT_DOUBLE_EQ(standard_deviation({1, 2, 3, 4}), std::sqrt(5.0 / 3));
  EXPECT_NEAR(mean(scores), 0.8815, 1e-15);
  EXPECT_NEAR(standard_deviation(scores), 0.00195576072156079, 1e-16);
  EXPECT_EQ(standard_deviation({3}), 0);
  EXPECT_EQ(standard_deviation({2, 2, 2}), 0);
}

TEST(MeanInterval, EqualsSciPy) {
  const auto wide = mean_interval(scores, {}, 0.99);
  EXPECT_NEAR(mean_interval(scores)->low, 0.8790716023229369, 1e-12);
  EXPECT_NEAR(mean_interval(scores)->high, 0.883928397677063, 1e-12);
  EXPECT_NEAR(wide->low, 0.8774730616428205, 1e-12);
  EXPECT_NEAR(wide->high, 0.8855269383571794, 1e-12);
}

TEST(MeanInterval, OfFewOrEqualNumbersHasItsClosedForm) {
  EXPECT_FALSE(mean_interval({}));
  EXPECT_FALSE(mean_interval({0.5}));
  // n = 2: half the distance times the t quantile with one degree of freedom, tan(0.475 pi)
  EXPECT_NEAR(mean_interval({1, 3})->high, 2 + std::tan(0.475 * std::acos(-1.0)), 1e-9);
  EXPECT_EQ(mean_interval({0.5, 0.5, 0.5})->low, 0.5);
  EXPECT_EQ(mean_interval({0.5, 0.5, 0.5})->high, 0.5);
}

TEST(MeanInterval, OfABoundedNumberUsesStudentsTOnTheLogitScale) {
  const std::vector<double> high = {0.905, 0.921};  // Student's t goes to 1.015
  EXPECT_GT(mean_interval(high)->high, 1);
  EXPECT_NEAR(mean_interval(high, {0, 1})->low, 0.744807049276438, 1e-12);
  EXPECT_NEAR(mean_interval(high, {0, 1})->high, 0.9741826046440688, 1e-12);
  EXPECT_NEAR(mean_interval(scores, {0, 1})->low, 0.8790499835176535, 1e-12);
  EXPECT_NEAR(mean_interval(scores, {0, 1})->high, 0.8839069421524619, 1e-12);
  // Far from a bound it is Student's, and the same on any scale.
  EXPECT_NEAR(mean_interval({0.49, 0.5, 0.52}, {0, 1})->low, mean_interval({0.49, 0.5, 0.52})->low, 1e-4);
  EXPECT_NEAR(mean_interval({-0.19, -0.158}, {-1, 1})->low, 1 - 2 * mean_interval({0.579, 0.595}, {0, 1})->high, 1e-12);
}

TEST(MeanInterval, IsWithinTheBoundsAndContainsTheMean) {
  const std::vector<std::vector<double>> all = {{0.999, 1}, {0, 0.01}, {0, 1}, {1, 1, 0.5}, {1, 1}, {0, 0, 0}};
  for (const auto& x : all) {
    const auto interval = mean_interval(x, {0, 1});
    EXPECT_GE(interval->low, 0);
    EXPECT_LE(interval->high, 1);
    EXPECT_LE(interval->low, mean(x));
    EXPECT_GE(interval->high, mean(x));
  }
  EXPECT_EQ(mean_interval({1, 1}, {0, 1})->low, 1);
  EXPECT_THROW(mean_interval({0.5, 1.5}, {0, 1}), std::invalid_argument);
}

TEST(MeanInterval, OfNumbersAtABoundButForRoundingIsThisBound) {
  const double below = std::nextafter(1.0, 0.0);
  const auto interval = mean_interval({below, 1, 1, 1, 1}, {0, 1});
  EXPECT_EQ(interval->low, 1);  // the mean is rounded to 1, whose logit is infinite
  EXPECT_EQ(interval->high, 1);
}

TEST(MeanInterval, OfEqualNumbersIsThisNumberAlthoughTheirSumIsRounded) {
  ASSERT_NE((0.1 + 0.1 + 0.1) / 3, 0.1);
  EXPECT_EQ(mean({0.1, 0.1, 0.1}), 0.1);
  EXPECT_EQ(standard_deviation({0.1, 0.1, 0.1}), 0);
  EXPECT_EQ(mean_interval({0.1, 0.1, 0.1}, {0, 1})->low, 0.1);
}

TEST(MeanInterval, OfANumberWithOneBoundUsesALogarithmicScale) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto time = mean_interval({0.1, 0.3}, {0});
  EXPECT_NEAR(time->low, 3.4826729619015143e-04, 1e-12);
  EXPECT_NEAR(time->high, 1.1485431000147736e+02, 1e-9);
  const auto loss = mean_interval({-0.1, -0.3}, {-infinity, 0});  // the mirror image
  EXPECT_NEAR(loss->low, -time->high, 1e-9);
  EXPECT_NEAR(loss->high, -time->low, 1e-12);
}

TEST(Wilcoxon, EqualsValuesByHand) {
  EXPECT_DOUBLE_EQ(*wilcoxon({1, 2, 3, 4, 5}), 2.0 / 32);  // all of one sign: 2 of the 2^5 patterns are as far out
  EXPECT_DOUBLE_EQ(*wilcoxon({-1, -2, -3, -4, -5}), 2.0 / 32);
  EXPECT_DOUBLE_EQ(*wilcoxon({1, -2, 3}), 1.0 * 6 / 8);  // W = 2: {}, {1}, {2} below, doubled
  EXPECT_DOUBLE_EQ(*wilcoxon({1, -1}), 1);
  EXPECT_DOUBLE_EQ(*wilcoxon({0.3}), 1);
  EXPECT_DOUBLE_EQ(*wilcoxon({0.2, 0.2, 0.2}), 2.0 / 8);
}

TEST(Wilcoxon, EqualsSciPyAndEnumeration) {
  EXPECT_DOUBLE_EQ(*wilcoxon({0.3, -0.1, 0.55, 0.42, 0.27, -0.05, 0.61, 0.19}), 0.0390625);
  EXPECT_DOUBLE_EQ(*wilcoxon({0.01, 0.01, -0.01, 0.02, 0.03, 0.0, 0.02, -0.02, 0.0, 0.05}), 0.1640625);
}

TEST(Wilcoxon, TreatsNumbersThatDifferByRoundingAsTies) {
  const double a = 0.3 - 0.2;
  const double b = 0.2 - 0.1;
  ASSERT_NE(a, b);
  EXPECT_DOUBLE_EQ(*wilcoxon({a, -b, 0.5}), *wilcoxon({0.1, -0.1, 0.5}));
}

TEST(Wilcoxon, UsesTheNormalApproximationAboveTwentyFivePairs) {
  std::vector<double> d;
  for (int k = 0; k < 30; ++k) d.push_back(std::round((std::sin(1 + 0.7 * k) + 0.3) * 10) / 10);
  EXPECT_NEAR(*wilcoxon(d), 0.01226957010928939, 1e-12);
}

TEST(Wilcoxon, DropsZeros) {
  EXPECT_FALSE(wilcoxon({}));
  EXPECT_FALSE(wilcoxon({0, 0, 0}));
  EXPECT_DOUBLE_EQ(*wilcoxon({0, 1, 2, 0}), *wilcoxon({1, 2}));
  EXPECT_DOUBLE_EQ(*wilcoxon({0.3 - 0.2 - 0.1, 1, 2, 0}), *wilcoxon({1, 2}));  // 0 but for rounding
}

TEST(Holm, CorrectsStepByStepAndKeepsTheOrder) {
  const auto corrected = holm({0.01, 0.04, 0.03, 0.005});
  EXPECT_THAT(corrected, testing::Pointwise(testing::DoubleEq(), std::vector<double>{0.03, 0.06, 0.06, 0.02}));
  EXPECT_THAT(holm({0.5, 0.9}), testing::ElementsAre(1, 1));
  EXPECT_THAT(holm({0.02}), testing::ElementsAre(0.02));
  EXPECT_THAT(holm({}), testing::IsEmpty());
}

TEST(SmallestP, IsReachedIfAllPairsHaveOneSign) {
  EXPECT_EQ(smallest_p(0), 1);
  EXPECT_EQ(smallest_p(1), 1);
  std::vector<double> d;
  for (int n = 1; n <= 12; ++n) {
    d.push_back(n);
    EXPECT_DOUBLE_EQ(smallest_p(n), *wilcoxon(d));
  }
}

TEST(PlateauFit, RecoversACurveWithoutNoise) {
  for (const double s : {0.02, 0.35, 4.0, 30.0}) {
    Points curve;
    for (int i = 0; i <= 20; ++i) curve.emplace_back(i, 0.93 * i / (s + i));
    const auto fit = plateau(curve);
    ASSERT_TRUE(fit) << s;
    EXPECT_NEAR(fit->asymptote, 0.93, 1e-8);
    EXPECT_NEAR(fit->slowness, s, 1e-7);
    EXPECT_NEAR(fit->rmse, 0, 1e-8);
  }
}

TEST(PlateauFit, EqualsSciPyOnNoisyCurves) {
  Points curve;
  for (int i = 1; i <= 10; ++i) curve.emplace_back(i, 0.9 * i / (0.35 + i) + 0.004 * std::sin(3.0 * i));
  const auto fit = plateau(curve);
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->asymptote, 0.8994303192176912, 1e-7);
  EXPECT_NEAR(fit->slowness, 0.34827422286560933, 1e-6);
  EXPECT_NEAR(fit->rmse, 0.00279799269665747, 1e-9);
}

TEST(PlateauFit, OfAFlatCurveIsItsValue) {
  const auto fit = plateau({{1, 0.7}, {2, 0.7}, {3, 0.7}, {4, 0.7}});
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->asymptote, 0.7, 1e-7);
  EXPECT_NEAR(fit->slowness, 0, 1e-7);
}

TEST(PlateauFit, ReturnsNothingWithoutAPlateau) {
  EXPECT_FALSE(plateau({{1, 0.5}, {2, 0.6}}));
  EXPECT_FALSE(plateau({{0, 0.1}, {1, 0.5}, {2, 0.6}}));                      // epoch 0 says nothing
  EXPECT_FALSE(plateau({{1, 0.9}, {2, 0.8}, {3, 0.7}, {4, 0.6}, {5, 0.5}}));  // falls
  EXPECT_FALSE(plateau({{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}}));            // a straight line
  EXPECT_FALSE(plateau({{1, 0}, {2, 0}, {3, 0}}));
}

TEST(EpochsTo, ReturnsTheFirstEpochThatReachesTheScore) {
  EXPECT_EQ(epochs_to({{1, 0.5}, {2, 0.8}, {3, 0.7}}, 0.7), 2);
  EXPECT_EQ(epochs_to({{1, 0.5}, {2, 0.8}, {3, 0.7}}, 0.8), 2);
  EXPECT_FALSE(epochs_to({{1, 0.5}, {2, 0.8}, {3, 0.7}}, 0.9));
  EXPECT_FALSE(epochs_to({}, 0.1));
}

TEST(NotANumber, IsAnError) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(mean({}), std::invalid_argument);
  EXPECT_THROW(mean({1, nan}), std::invalid_argument);
  EXPECT_THROW(standard_deviation({1, nan}), std::invalid_argument);
  EXPECT_THROW(mean_interval({1, nan}), std::invalid_argument);
  EXPECT_THROW(wilcoxon({1, std::numeric_limits<double>::infinity()}), std::invalid_argument);
  EXPECT_THROW(holm({nan}), std::invalid_argument);
  EXPECT_THROW(plateau({{1, 1}, {2, nan}, {3, 3}}), std::invalid_argument);
}

TEST(Transfer, MeasuresOfThreeTasksEqualValuesByHand) {
  // Three tasks. The first falls from 0.9 to 0.6 and never was better than right after it; the second was best only
  // after itself, 0.8, and ends at 0.7; the third is learned to 0.95.
  const Transfer t = transfer({{0.9, 0.3, 0.2}, {0.8, 0.8, 0.4}, {0.6, 0.7, 0.95}}, {0.1, 0.1, 0.15});
  EXPECT_DOUBLE_EQ(t.average_accuracy, (0.6 + 0.7 + 0.95) / 3);
  EXPECT_DOUBLE_EQ(t.learning_accuracy, (0.9 + 0.8 + 0.95) / 3);
  EXPECT_DOUBLE_EQ(t.forgetting, ((0.9 - 0.6) + (0.8 - 0.7)) / 2);
  EXPECT_DOUBLE_EQ(t.backward_transfer, ((0.6 - 0.9) + (0.7 - 0.8)) / 2);
  EXPECT_DOUBLE_EQ(t.forward_transfer, ((0.3 - 0.1) + (0.4 - 0.15)) / 2);
}

TEST(Transfer, ForgettingIsRelativeToTheBestEarlierAccuracy) {
  // The first task is best after the second, 0.95, so that it forgets 0.05 although it ends where it was: here
  // forgetting and backward transfer differ.
  const Transfer t = transfer({{0.9, 0.5, 0.5}, {0.95, 0.8, 0.5}, {0.9, 0.85, 0.9}}, {0.5, 0.5, 0.5});
  EXPECT_DOUBLE_EQ(t.forgetting, ((0.95 - 0.9) + (0.8 - 0.85)) / 2);
  EXPECT_DOUBLE_EQ(t.backward_transfer, ((0.9 - 0.9) + (0.85 - 0.8)) / 2);
  EXPECT_DOUBLE_EQ(t.forward_transfer, 0);
}

TEST(Transfer, MeasuresOfTwoTasksEqualValuesByHand) {
  const Transfer t = transfer({{1, 0.5}, {0.5, 1}}, {0.5, 0.5});
  EXPECT_EQ(t.average_accuracy, 0.75);
  EXPECT_EQ(t.forgetting, 0.5);
  EXPECT_EQ(t.backward_transfer, -0.5);
}

TEST(Transfer, AnIncompleteMatrixIsAnError) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(transfer({{1}}, {1}), std::invalid_argument);
  EXPECT_THROW(transfer({{1, 1}, {1}}, {1, 1}), std::invalid_argument);
  EXPECT_THROW(transfer({{1, 1}, {1, 1}}, {1}), std::invalid_argument);
  EXPECT_THROW(transfer({{1, nan}, {1, 1}}, {1, 1}), std::invalid_argument);
}

}  // namespace
}  // namespace grapes::report
