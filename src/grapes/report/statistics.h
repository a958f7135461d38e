#pragma once

#include <optional>
#include <string>
#include <vector>

/// Plain functions of numbers, each tested on cases worked by hand and against SciPy.
/// All throw std::invalid_argument if a number is not finite.
namespace grapes::report {

struct Interval {
  double low = 0, high = 0;
};
double mean(const std::vector<double>& x);                ///< of at least one number
double standard_deviation(const std::vector<double>& x);  ///< n-1 in the denominator; 0 for n < 2
/// Student's t interval of the mean; nothing for n < 2.
std::optional<Interval> mean_interval(const std::vector<double>& x, double confidence = 0.95);
/// Wilcoxon signed-rank test of paired differences, two-sided: exact by enumeration of the null distribution (also with
/// ties, mid-ranks) up to n = 25, normal approximation with tie correction above. Zero differences are dropped
/// (Wilcoxon). Nothing if none is left.
std::optional<double> wilcoxon(const std::vector<double>& differences);
/// Holm's step-down correction; same order as given; each at most 1.
std::vector<double> holm(const std::vector<double>& p);
/// The smallest p a two-sided exact Wilcoxon test of n pairs can give, 2 / 2^n: said beside n in the report.
double smallest_p(int n);

/// Plateau fit accuracy(e) = A e / (s + e): asymptote A, slowness s (epochs to half of A), by least squares
/// (Gauss-Newton / Levenberg).
struct Plateau {
  double asymptote = 0, slowness = 0, rmse = 0;
};
/// Nothing for fewer than three epochs above 0, or where there is no plateau: the curve falls, or rises like a line.
std::optional<Plateau> plateau(const std::vector<double>& epoch, const std::vector<double>& accuracy);
/// The first epoch whose value is at least `target`; nothing if never.
std::optional<double> epochs_to(const std::vector<double>& epoch, const std::vector<double>& value, double target);

}  // namespace grapes::report
