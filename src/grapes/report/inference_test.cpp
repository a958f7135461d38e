#include "grapes/report/inference.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <stdexcept>

// The golden numbers come from tools/golden_statistics.py.
namespace grapes::report {
namespace {

/// Differences of m comparisons with n pairs.
std::vector<std::vector<double>> comparisons(int m, int n) {
  std::vector<std::vector<double>> all;
  for (int k = 0; k < m; ++k) {
    all.emplace_back();
    for (int i = 0; i < n; ++i) {
      const double d = 0.1 * std::sin(1 + 1.3 * i + 0.9 * k) + 0.08 * std::cos(2.1 * i * i) + 0.05 * k;
      all.back().push_back(std::round(1000 * d) / 1000);
    }
  }
  return all;
}

TEST(SimultaneousQuantile, EqualsASimulationInNumPy) {
  EXPECT_NEAR(simultaneous_quantile(comparisons(3, 6)), 3.358, 0.02 * 3.358);
  EXPECT_NEAR(simultaneous_quantile(comparisons(5, 4)), 5.471, 0.03 * 5.471);  // more comparisons than pairs
  EXPECT_NEAR(simultaneous_quantile(comparisons(8, 18)), 2.902, 0.02 * 2.902);
}

TEST(SimultaneousQuantile, OfManyPairsIsThatOfSciPysMultivariateStudentDistribution) {
  EXPECT_NEAR(simultaneous_quantile(comparisons(3, 60)), 2.34935, 0.02 * 2.34935);
}

TEST(SimultaneousQuantile, OfOneComparisonIsStudentsT) {
  const auto one = comparisons(1, 8);
  const double t = 2.3646242515927844;  // scipy.stats.t.ppf(0.975, 7)
  EXPECT_NEAR(simultaneous_quantile(one), t, 1e-12);
  EXPECT_NEAR(bonferroni_quantile(8, 1), t, 1e-12);
  EXPECT_NEAR(simultaneous_quantile({one[0], one[0], one[0]}), t, 1e-12);  // the same one three times
}

TEST(SimultaneousQuantile, DoesNotDependOnScaleSignOrShift) {
  auto changed = comparisons(3, 6);
  const double before = simultaneous_quantile(changed);
  for (double& x : changed[1]) x = 5 - 100 * x;
  EXPECT_NEAR(simultaneous_quantile(changed), before, 0.02 * before);
}

TEST(SimultaneousQuantile, IgnoresAComparisonWithoutVariation) {
  auto more = comparisons(3, 6);
  const double before = simultaneous_quantile(more);
  more.emplace_back(6, 0.3);
  EXPECT_EQ(simultaneous_quantile(more), before);
}

TEST(SimultaneousQuantile, OfUncorrelatedComparisonsIsNearBonferronis) {
  // Rows of a Hadamard matrix are orthogonal to each other and to a constant.
  std::vector<std::vector<double>> rows(7, std::vector<double>(8));
  for (int k = 1; k < 8; ++k)
    for (int i = 0; i < 8; ++i) rows[k - 1][i] = __builtin_parity(static_cast<unsigned>(k & i)) != 0 ? -1 : 1;
  const double c = simultaneous_quantile(rows), bonferroni = bonferroni_quantile(8, 7);
  EXPECT_LE(c, bonferroni);
  EXPECT_GT(c, 0.95 * bonferroni);
}

TEST(SimultaneousQuantile, OfTwoPairsIsBonferronis) {
  EXPECT_EQ(simultaneous_quantile(comparisons(4, 2)), bonferroni_quantile(2, 4));
}

TEST(Equivalence, EqualsStatsmodels) {
  const std::vector<double> near = {0.1, -0.2, 0.3, 0.05, -0.1, 0.15}, far = {0.4, 0.1, 0.6, 0.35, 0.2, 0.45};
  EXPECT_NEAR(*equivalence(near, 0.3), 0.00938586976610979, 1e-14);
  EXPECT_NEAR(*equivalence(far, 0.3), 0.7379988133091056, 1e-13);
  EXPECT_NEAR(*equivalence({-0.1, 0.2, -0.3, -0.05, 0.1, -0.15}, 0.3), *equivalence(near, 0.3), 1e-15);
}

TEST(Equivalence, RejectsIfTheNinetyPercentIntervalIsWithinTheMargin) {
  const std::vector<double> d = {0.1, -0.2, 0.3, 0.05, -0.1, 0.15};
  const double edge = mean_interval(d, {}, 0.9)->high;
  EXPECT_LT(*equivalence(d, edge + 1e-9), 0.05);
  EXPECT_GT(*equivalence(d, edge - 1e-9), 0.05);
}

TEST(Equivalence, HasTheGivenStandardError) {
  const std::vector<double> d = {0.1, -0.2, 0.3, 0.05, -0.1, 0.15};
  EXPECT_NEAR(*equivalence(d, 0.3, standard_deviation(d) / std::sqrt(6.0)), *equivalence(d, 0.3), 1e-15);
  EXPECT_GT(*equivalence(d, 0.3, 0.2), 0.05);
}

TEST(Equivalence, OfEqualDifferencesIsCertain) {
  EXPECT_EQ(equivalence({0.1, 0.1}, 0.2), 0);
  EXPECT_EQ(equivalence({-0.3, -0.3}, 0.2), 1);
  EXPECT_FALSE(equivalence({0.1}, 0.2));
  EXPECT_THROW(equivalence({0.1, 0.2}, 0), std::invalid_argument);
}

// The cases of the rule in experiments/study.md, with a smallest effect of 0.3.
TEST(Verdict, IsBetterOrWorseIfTheIntervalExcludesZeroAndTheMeanIsLargeEnough) {
  EXPECT_EQ(verdict_of(0.5, {0.1, 0.9}, 0.9, 0.3), Verdict::better);
  EXPECT_EQ(verdict_of(0.3, {0.1, 0.5}, 0.5, 0.3), Verdict::better);  // at least the smallest effect
  EXPECT_EQ(verdict_of(-0.5, {-0.9, -0.1}, 0.9, 0.3), Verdict::worse);
}

TEST(Verdict, IsNegligibleIfTheIntervalExcludesZeroAndTheMeanIsSmaller) {
  EXPECT_EQ(verdict_of(0.2, {0.1, 0.3}, 0.2, 0.3), Verdict::negligible);
  EXPECT_EQ(verdict_of(-0.2, {-0.3, -0.1}, 0.2, 0.3), Verdict::negligible);
  EXPECT_EQ(verdict_of(0.1, {0.05, 0.15}, 0.001, 0.3), Verdict::negligible);  // also if it is shown to be small
}

TEST(Verdict, IsNoDifferenceIfTheEquivalenceTestRejects) {
  EXPECT_EQ(verdict_of(0.05, {-0.1, 0.2}, 0.01, 0.3), Verdict::no_difference);
  EXPECT_EQ(verdict_of(0, {0, 0}, 0, 0.3), Verdict::no_difference);
}

TEST(Verdict, IsNotResolvedOtherwise) {
  EXPECT_EQ(verdict_of(0.05, {-0.5, 0.6}, 0.2, 0.3), Verdict::not_resolved);
  EXPECT_EQ(verdict_of(0.5, {-0.1, 1.1}, 0.8, 0.3), Verdict::not_resolved);  // large, but perhaps by chance
  EXPECT_EQ(verdict_of(0.5, {0, 1}, 0.05, 0.3), Verdict::not_resolved);      // 0 is not excluded, 0.05 does not reject
  EXPECT_EQ(verdict_of(0.05, {-0.5, 0.6}, {}, 0.3), Verdict::not_resolved);
}

/// Differences of n seeds on m test examples.
std::vector<std::vector<std::int8_t>> examples(int n, int m) {
  std::vector<std::vector<std::int8_t>> table(n, std::vector<std::int8_t>(m, 0));
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < m; ++j) table[i][j] = j * j % 5 == 0 ? 1 : (i + j) % 4 == 0 ? -1 : 0;
  return table;
}

TEST(CrossedError, EqualsNumPy) {
  // Half of the intervals in tools/golden_statistics.py, which are Student's t.
  EXPECT_NEAR(*crossed_error(examples(4, 7)) * bonferroni_quantile(4, 1), (0.7985023264452051 + 0.5842166121594912) / 2,
              1e-12);
  EXPECT_NEAR(*crossed_error(examples(3, 8)) * bonferroni_quantile(3, 1), (0.874320541072157 + 0.790987207738824) / 2,
              1e-12);
}

TEST(CrossedError, IsThatOfTheSeedsIfExamplesDoNotFavorAnArm) {
  // Each seed differs on examples of its own.
  std::vector<std::vector<std::int8_t>> table(3, std::vector<std::int8_t>(300, 0));
  std::vector<double> means;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 10 * i; ++j) table[i][100 * i + j] = 1;
    means.push_back(static_cast<double>(10 * i) / 300);
  }
  EXPECT_NEAR(*crossed_error(table), standard_deviation(means) / std::sqrt(3.0), 1e-12);
}

TEST(CrossedError, IsLargerIfTheSameExamplesFavorAnArmInEverySeed) {
  std::vector<std::vector<std::int8_t>> table(2, std::vector<std::int8_t>(100, 0));
  for (auto& row : table)
    for (std::size_t j = 0; j < 10; ++j) row[j] = 1;
  // The seeds agree, so only the examples vary: their variance is that of a proportion, p (1 - p)/(m - 1).
  EXPECT_NEAR(*crossed_error(table), std::sqrt(0.1 * 0.9 / 99), 1e-12);
}

TEST(CrossedError, NeedsTwoSeedsAndAFullTable) {
  EXPECT_FALSE(crossed_error({}));
  EXPECT_FALSE(crossed_error({{1, 0, -1}}));
  EXPECT_FALSE(crossed_error({{}, {}}));
  EXPECT_THROW(crossed_error({{1, 0}, {1}}), std::invalid_argument);
}

const TaskScores tasks = {{0.91, 0.93, 0.92, 0.95}, {0.52, 0.57, 0.55}, {0.71, 0.78, 0.71, 0.74, 0.55}};

TEST(InterquartileMean, EqualsSciPysTrimmedMean) {
  EXPECT_NEAR(interquartile_mean(tasks).value, 0.7366666666666667, 1e-15);
  EXPECT_EQ(interquartile_mean({{1}}).value, 1);
  EXPECT_EQ(interquartile_mean({{0, 10}, {4, 6}}).value, 5);  // a quarter of four is one on each side
}

TEST(InterquartileMean, HasTheIntervalOfABootstrapWithinTasks) {
  const auto [value, interval] = interquartile_mean(tasks);
  EXPECT_LT(interval.low, value);
  EXPECT_GT(interval.high, value);
  // Tasks that have one score each do not vary, however different they are.
  const Aggregate certain = interquartile_mean({{0.1, 0.1, 0.1}, {0.5, 0.5}, {0.9, 0.9, 0.9}});
  EXPECT_EQ(certain.interval.low, certain.value);
  EXPECT_EQ(certain.interval.high, certain.value);
}

TEST(ProbabilityOfImprovement, EqualsSciPysMannWhitneyStatistic) {
  const TaskScores x = {tasks[0], tasks[1]}, y = {tasks[1], tasks[2]};
  EXPECT_NEAR(probability_of_improvement(x, y).value, 0.55, 1e-15);
  EXPECT_NEAR(probability_of_improvement(y, x).value, 0.45, 1e-15);
  EXPECT_EQ(probability_of_improvement(tasks, tasks).value, 0.5);
}

TEST(ProbabilityOfImprovement, IsCertainForScoresThatDoNotOverlap) {
  const Aggregate one = probability_of_improvement({{3, 4}, {30, 40, 50}}, {{1, 2}, {10, 20}});
  EXPECT_EQ(one.value, 1);
  EXPECT_EQ(one.interval.low, 1);
  EXPECT_THROW(probability_of_improvement({{1}}, {{1}, {2}}), std::invalid_argument);
}

TEST(Inference, RefusesNumbersThatAreNotFiniteAndMissingOnes) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(simultaneous_quantile({}), std::invalid_argument);
  EXPECT_THROW(simultaneous_quantile({{1}}), std::invalid_argument);
  EXPECT_THROW(simultaneous_quantile({{1, 2, 3}, {1, 2}}), std::invalid_argument);
  EXPECT_THROW(simultaneous_quantile({{1, nan, 2}}), std::invalid_argument);
  EXPECT_THROW(equivalence({1, nan}, 1), std::invalid_argument);
  EXPECT_THROW(interquartile_mean({}), std::invalid_argument);
  EXPECT_THROW(interquartile_mean({{1}, {}}), std::invalid_argument);
  EXPECT_THROW(probability_of_improvement({{nan}}, {{1}}), std::invalid_argument);
}

}  // namespace
}  // namespace grapes::report
