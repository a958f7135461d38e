#pragma once

#include "grapes/report/statistics.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// Conclusions from several comparisons at once, about equivalence, and about several data sets. Random numbers have a
/// fixed seed, so equal numbers give equal results. All functions throw std::invalid_argument if a number is not
/// finite.
namespace grapes::report {

/// Returns the number c of the simultaneous confidence intervals d̄ ± c s/√n of a family of comparisons, which together
/// contain all true differences with the given probability: the quantile of max |T| (max-t) over the comparisons, with
/// T = √n d̄/s of n pairs of normal differences that have mean 0 and the estimated correlations. 20,000 draws give it
/// with a relative standard error of at most 1 %. There may be more comparisons than pairs. One comparison gives
/// Student's t, and many pairs the multivariate Student distribution of Hothorn, Bretz and Westfall (2008). That
/// distribution has one standard deviation for all comparisons. Here each comparison has its own, as in the data,
/// because with 5 pairs and 12 comparisons the intervals otherwise contain all true differences in 88 % of cases, not
/// 95 % (tools/golden_statistics.py).
/// @param differences  [comparisons][pairs]; pair i of all comparisons has the same seed; at least 2 pairs
double simultaneous_quantile(const std::vector<std::vector<double>>& differences, double confidence = 0.95);
/// Returns the quantile of Student's t with `pairs` - 1 degrees of freedom for one of several comparisons, by
/// Bonferroni's inequality. It is for comparisons that do not have the same seeds.
double bonferroni_quantile(std::size_t pairs, std::size_t comparisons, double confidence = 0.95);

/// Returns p of two one-sided t tests of paired differences (Schuirmann 1987): the larger of the p against the mean
/// being at most -margin, and at least +margin. A small p shows that the mean lies within the margin. It is below 0.05
/// if and only if the 90 % Student's t interval lies within the margin. Nothing for fewer than two differences.
/// @param margin  > 0, in the unit of the differences
/// @param error   standard error of the mean; if it is empty, s/√n
std::optional<double> equivalence(const std::vector<double>& differences, double margin,
                                  std::optional<double> error = {});

/// What is concluded from a difference, given the smallest difference that matters (the smallest effect of interest).
enum class Verdict { better, worse, negligible, no_difference, not_resolved };
std::string to_string(Verdict verdict);  ///< "no difference"
/// Returns better or worse if the interval excludes 0 and the mean is at least the smallest effect; negligible if the
/// interval excludes 0 and the mean is smaller; otherwise no difference if the equivalence test rejects at 0.05, and
/// not resolved if it does not.
/// @param mean, interval  of the difference; more is better
Verdict verdict_of(double mean, const Interval& interval, const std::optional<double>& p_equivalence,
                   double smallest_effect);

/// Returns the standard error s of the mean d̄ of a table of differences whose rows (seeds) and columns (test examples)
/// are both samples, from the unbiased variance of crossed random effects. The interval of the mean is d̄ ± c s, with
/// the c of an interval over the seeds. With a_i and b_j the deviations of the means of the n rows and m columns from
/// d̄, and c_ij what they leave of the cells,
///   s² = Σ a_i²/(n(n-1)) + max(0, n Σ b_j²/(m-1) - Σ c_ij²/((n-1)(m-1)))/(n m)
/// The first term alone gives the error over the seeds, which is never larger; the second one is the part of the test
/// set. The pigeonhole bootstrap (Owen 2007), which resamples rows and columns, estimates the same variance but counts
/// the interaction of rows and columns three times, so its intervals are too wide (tools/golden_statistics.py). Nothing
/// for fewer than two rows or columns.
/// @param table  [seeds][examples]: 1 if only the first arm was right, -1 if only the second one was, else 0
/// @throws std::invalid_argument if the rows have different lengths
std::optional<double> crossed_error(const std::vector<std::vector<std::int8_t>>& table);

/// Scores of one arm on several tasks (data sets): [tasks][runs].
using TaskScores = std::vector<std::vector<double>>;
/// A number over tasks with its stratified bootstrap interval: runs are resampled within each task.
struct Aggregate {
  double value = 0;
  Interval interval;
};
/// Returns the interquartile mean over all runs of all tasks: the mean without the lowest and the highest quarter, as
/// rliable computes it (Agarwal et al. 2021). The interval is the percentile one of 10,000 resamples.
Aggregate interquartile_mean(const TaskScores& scores, double confidence = 0.95);
/// Returns the probability that a run of the first arm is better than one of the second on the same task, averaged over
/// tasks; equal scores count one half. As above.
/// @param x, y  scores for which more is better, with the same tasks; numbers of runs may differ
Aggregate probability_of_improvement(const TaskScores& x, const TaskScores& y, double confidence = 0.95);

}  // namespace grapes::report
