#pragma once

#include <limits>
#include <optional>
#include <vector>

/// Plain functions of numbers, each tested on cases worked by hand and against SciPy.
/// All throw std::invalid_argument if a number is not finite.
namespace grapes::report {

struct Interval {
  double low = 0, high = 0;
};
/// Where a number must lie: an accuracy in {0, 1}, a duration in {0}.
struct Bounds {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};
double mean(const std::vector<double>& x);                ///< of at least one number
double standard_deviation(const std::vector<double>& x);  ///< n-1 in the denominator; 0 for n < 2
/// Interval of the mean; nothing for n < 2. Unbounded: Student's t, m ± t s/√n, with n-1 degrees of freedom. Between
/// bounds a and b: the same on the scale g(m) = log((m - a) / (b - m)), by the delta method,
///   g⁻¹(g(m) ± t g'(m) s/√n),     g'(m) = 1/(m - a) + 1/(b - m)
/// which surveys use for proportions (Korn and Graubard 1998; svyciprop(method = "logit") of R's survey). With one
/// bound only, its term alone. The interval lies within the bounds and holds m. For scores far from a bound it is
/// Student's; near one it covers better: means of 3 draws from Beta with mean 0.99, s.d. 0.01 are covered in 94.5 % of
/// trials, by Student's in 88.5 % (tools/golden_statistics.py).
/// @throws std::invalid_argument if a number lies outside its bounds
std::optional<Interval> mean_interval(const std::vector<double>& x, Bounds bounds = {}, double confidence = 0.95);
/// Wilcoxon signed-rank test of paired differences, two-sided: exact by enumeration of the null distribution (also with
/// ties, mid-ranks) up to n = 25, normal approximation with tie correction above. Zero differences are dropped
/// (Wilcoxon). Nothing if none is left.
std::optional<double> wilcoxon(const std::vector<double>& differences);
/// Holm's step-down correction; same order as given; each at most 1.
std::vector<double> holm(const std::vector<double>& p);
/// The smallest p a two-sided exact Wilcoxon test of n pairs can give, 2 / 2^n.
double smallest_p(int n);

/// Plateau fit accuracy(e) = A e / (s + e) by least squares: asymptote A, slowness s (epochs to half of A).
struct Plateau {
  double asymptote = 0, slowness = 0, rmse = 0;
};
/// Nothing for fewer than three epochs above 0, or where there is no plateau: the curve falls, or rises like a line.
std::optional<Plateau> plateau(const std::vector<double>& epoch, const std::vector<double>& accuracy);
/// The first epoch whose value is at least `target`; nothing if never.
std::optional<double> epochs_to(const std::vector<double>& epoch, const std::vector<double>& value, double target);

/// What a matrix of accuracies tells, R[i][j] = accuracy on task j after training on task i, T tasks of either:
///   average accuracy   ACC = (1/T) Σ_j R[T][j]
///   learning accuracy  LA  = (1/T) Σ_j R[j][j]                    how well each task is learnt (Riemer et al. 2019)
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
