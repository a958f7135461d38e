#pragma once

#include <limits>
#include <optional>
#include <utility>
#include <vector>

/// Statistics of a comparison, tested on worked examples and against SciPy. All functions throw std::invalid_argument
/// if a number is not finite.
namespace grapes::report {

using Points = std::vector<std::pair<double, double>>;
struct Interval {
  double low = 0, high = 0;
};
/// The range of a measure: {0, 1} for an accuracy, {0} for a duration.
struct Bounds {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};
double mean(const std::vector<double>& x);                ///< of at least one number
double standard_deviation(const std::vector<double>& x);  ///< n-1 in the denominator; 0 for n < 2
/// Returns the confidence interval of the mean, or nothing for n < 2. Without bounds it is Student's t, m ± t s/√n with
/// n-1 degrees of freedom. Between bounds a and b it is Student's t on the scale g(m) = log((m - a) / (b - m)), by the
/// delta method,
///   g⁻¹(g(m) ± t g'(m) s/√n),     g'(m) = 1/(m - a) + 1/(b - m)
/// as surveys do for proportions (Korn and Graubard 1998; svyciprop(method = "logit") of the R package survey). With
/// one bound, g has only the term of this bound. The interval lies within the bounds and contains m. Far from a bound
/// it approaches Student's t; near a bound its coverage is better: 94.5 % instead of 88.5 % for means of 3 draws from a
/// Beta distribution with mean 0.99 and standard deviation 0.01 (tools/golden_statistics.py).
/// @throws std::invalid_argument if a number lies outside its bounds
std::optional<Interval> mean_interval(const std::vector<double>& x, Bounds bounds = {}, double confidence = 0.95);
/// Returns the two-sided p of the Wilcoxon signed-rank test of paired differences. Up to n = 25 the null distribution
/// is enumerated, with mid-ranks for ties; above, a normal approximation with tie correction is used. Zero differences
/// are dropped (Wilcoxon). Numbers that differ by less than 1e-9 of the largest are equal. Returns nothing if none is
/// left.
std::optional<double> wilcoxon(const std::vector<double>& differences);
/// Applies Holm's step-down correction. The results are in the given order and at most 1.
std::vector<double> holm(const std::vector<double>& p);
/// Returns 2 / 2^n, the smallest p of a two-sided exact Wilcoxon test of n pairs.
double smallest_p(int n);

/// A least-squares fit of accuracy(e) = A e / (s + e), with asymptote A and slowness s (epochs to half of A).
struct Plateau {
  double asymptote = 0, slowness = 0, rmse = 0;
};
/// Fits a plateau to points (epoch, accuracy). Returns nothing for fewer than three epochs above 0, and for curves that
/// fall or rise linearly.
std::optional<Plateau> plateau(const Points& curve);
/// Returns the first epoch whose value is at least `target`, or nothing.
std::optional<double> epochs_to(const Points& curve, double target);

/// Measures of continual learning, from R[i][j] = accuracy on task j after training on task i, for T tasks:
///   average accuracy   ACC = (1/T) Σ_j R[T][j]
///   learning accuracy  LA  = (1/T) Σ_j R[j][j]                    how well each task is learned (Riemer et al. 2019)
///   forgetting         F   = (1/(T-1)) Σ_{j<T} (max_{i<T} R[i][j] - R[T][j])             (Chaudhry et al. 2018)
///   backward transfer  BWT = (1/(T-1)) Σ_{j<T} (R[T][j] - R[j][j])                (Lopez-Paz and Ranzato 2017)
///   forward transfer   FWT = (1/(T-1)) Σ_{j>1} (R[j-1][j] - b[j]), b[j] = accuracy of the untrained network
struct Transfer {
  double average_accuracy = 0, learning_accuracy = 0, forgetting = 0, backward_transfer = 0, forward_transfer = 0;
};
/// @param R          T × T, T >= 2; @param untrained  [T]
/// @throws std::invalid_argument unless they have these shapes and all numbers are finite
Transfer transfer(const std::vector<std::vector<double>>& R, const std::vector<double>& untrained);

}  // namespace grapes::report
