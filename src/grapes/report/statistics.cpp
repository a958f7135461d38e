#include "grapes/report/statistics.h"

#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/tools/toms748_solve.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>

namespace grapes::report {
namespace {

/// Without this check, a NaN would pass every comparison below, and the result would be a number that looks right.
void check(const std::vector<double>& x, const char* function) {
  for (const double value : x)
    if (!std::isfinite(value)) throw std::invalid_argument(std::string(function) + ": every number must be finite");
}

/// Scores are fractions, so their differences are equal, or 0, only up to rounding, relative to the largest one.
constexpr double equal_within = 1e-9;

struct Ranks {
  std::vector<int> doubled;  ///< twice the mid-rank of |d|, so that ties stay whole numbers
  double tie_term = 0;       ///< Σ (t³ - t) over groups of t ties
};

/// Mid-ranks of |d| of differences sorted by |d|.
Ranks mid_ranks(const std::vector<double>& sorted) {
  Ranks ranks;
  const double tolerance = equal_within * std::abs(sorted.back());
  for (std::size_t begin = 0, end = 0; begin < sorted.size(); begin = end) {
    while (end < sorted.size() && std::abs(sorted[end]) - std::abs(sorted[begin]) <= tolerance) ++end;
    const auto t = static_cast<double>(end - begin);
    ranks.tie_term += t * t * t - t;
    for (std::size_t i = begin; i < end; ++i) ranks.doubled.push_back(static_cast<int>(begin + 1 + end));
  }
  return ranks;
}

/// P(W+ <= w) under the null, where each sign is a fair coin: counts[k] of the 2^n sign patterns have 2 W+ = k.
double exact_lower_tail(const std::vector<int>& doubled, int doubled_w) {
  const int total = std::accumulate(doubled.begin(), doubled.end(), 0);
  std::vector<double> counts(static_cast<std::size_t>(total) + 1, 0.0);
  counts[0] = 1;
  for (const int rank : doubled)
    for (int k = total; k >= rank; --k)
      counts[static_cast<std::size_t>(k)] += counts[static_cast<std::size_t>(k - rank)];
  return std::accumulate(counts.begin(), counts.begin() + doubled_w + 1, 0.0) /
         std::pow(2.0, static_cast<double>(doubled.size()));
}

}  // namespace

double mean(const std::vector<double>& x) {
  check(x, "mean");
  if (x.empty()) throw std::invalid_argument("mean: there must be a number");
  double sum = 0;  // of the differences from the first number, so that the mean of equal numbers is exact
  for (const double value : x) sum += value - x.front();
  return x.front() + sum / static_cast<double>(x.size());
}

double standard_deviation(const std::vector<double>& x) {
  if (x.size() < 2) return 0;
  const double center = mean(x);
  double sum = 0;
  for (const double value : x) sum += (value - center) * (value - center);
  return std::sqrt(sum / static_cast<double>(x.size() - 1));
}

std::optional<Interval> mean_interval(const std::vector<double>& x, Bounds bounds, double confidence) {
  check(x, "mean_interval");
  for (const double value : x)
    if (value < bounds.low || value > bounds.high)
      throw std::invalid_argument("mean_interval: every number must be within its bounds");
  if (x.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(x.size());
  const double t = boost::math::quantile(boost::math::students_t(n - 1), 0.5 + confidence / 2);
  const double center = mean(x), half = t * standard_deviation(x) / std::sqrt(n);
  if (half == 0) return Interval{center, center};
  const double below = center - bounds.low, above = bounds.high - center;  // infinite where there is no bound
  if (std::isinf(below) && std::isinf(above)) return Interval{center - half, center + half};
  if (!(below > 0 && above > 0)) return Interval{center, center};  // all are this bound, but for rounding
  const auto around = [&](double low, double high) {  // rounding may put an end on the wrong side of the mean
    return Interval{std::min(low, center), std::max(high, center)};
  };
  const double odds = std::exp(half / below + half / above), width = below + above;
  if (std::isinf(above)) return around(bounds.low + below / odds, bounds.low + below * odds);
  if (std::isinf(below)) return around(bounds.high - above * odds, bounds.high - above / odds);
  return around(bounds.low + width * below / (below + above * odds),
                bounds.high - width * above / (above + below * odds));
}

std::optional<double> wilcoxon(const std::vector<double>& differences) {
  check(differences, "wilcoxon");
  std::vector<double> d = differences;
  std::sort(d.begin(), d.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  const auto zero = [&](double x) { return std::abs(x) <= equal_within * std::abs(d.back()); };
  d.erase(d.begin(), std::find_if_not(d.begin(), d.end(), zero));
  if (d.empty()) return std::nullopt;
  const Ranks ranks = mid_ranks(d);
  int positive = 0;
  int negative = 0;
  for (std::size_t i = 0; i < d.size(); ++i) (d[i] > 0 ? positive : negative) += ranks.doubled[i];
  const int smaller = std::min(positive, negative);  // the null distribution is symmetric: one tail, twice
  if (d.size() <= 25) return std::min(1.0, 2 * exact_lower_tail(ranks.doubled, smaller));
  const auto n = static_cast<double>(d.size());
  const double variance = n * (n + 1) * (2 * n + 1) / 24 - ranks.tie_term / 48;
  const double z = (smaller / 2.0 - n * (n + 1) / 4) / std::sqrt(variance);
  return std::min(1.0, 2 * boost::math::cdf(boost::math::normal(), z));
}

std::vector<double> holm(const std::vector<double>& p) {
  check(p, "holm");
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> corrected(p.size());
  double running = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    running = std::max(running, std::min(1.0, static_cast<double>(p.size() - i) * p[order[i]]));
    corrected[order[i]] = running;
  }
  return corrected;
}

double smallest_p(int n) { return std::min(1.0, std::pow(2.0, 1 - n)); }

std::optional<Plateau> plateau(const Points& curve) {
  Points seen;
  for (const auto& [e, y] : curve) {
    check({e, y}, "plateau");
    if (e > 0) seen.emplace_back(e, y);  // the curve is 0 at epoch 0 for all A and s, so that point says nothing
  }
  if (seen.size() < 3) return std::nullopt;
  // For a given s the best A is linear, so that one function of s is left. Its minimum is found where its derivative is
  // 0, to the last digits; a search by values alone (Brent's) ends at half of them.
  const auto asymptote = [&](double s) {
    double gy = 0, gg = 0;
    for (const auto& [e, y] : seen) {
      const double g = e / (s + e);
      gy += g * y;
      gg += g * g;
    }
    return gy / gg;
  };
  const auto slope = [&](double s) {  // half the derivative of the sum of squares
    const double a = asymptote(s);
    double sum = 0;
    for (const auto& [e, y] : seen) {
      const double g = e / (s + e);
      sum += a * (y - a * g) * g / (s + e);
    }
    return sum;
  };
  const double flat = asymptote(0), largest = 1e3 * seen.back().first;
  double s = 0;
  if (const double start = slope(0); start < 0) {
    if (slope(largest) <= 0) return std::nullopt;  // a straight line
    std::uintmax_t steps = 200;
    const auto [low, high] = boost::math::tools::toms748_solve(slope, 0.0, largest, start, slope(largest),
                                                               boost::math::tools::eps_tolerance<double>(), steps);
    s = (low + high) / 2;
  } else if (const double rounding = 1e-9 * std::pow(flat / seen.front().first, 2); flat == 0 || start > rounding) {
    return std::nullopt;  // a falling curve
  }
  const double a = asymptote(s);
  double squares = 0;
  for (const auto& [e, y] : seen) squares += std::pow(y - a * e / (s + e), 2);
  return Plateau{a, s, std::sqrt(squares / static_cast<double>(seen.size()))};
}

std::optional<double> epochs_to(const Points& curve, double target) {
  for (const auto& [epoch, value] : curve)
    if (value >= target) return epoch;
  return std::nullopt;
}

Transfer transfer(const std::vector<std::vector<double>>& R, const std::vector<double>& untrained) {
  const std::size_t T = R.size();
  const auto fits = [&](const std::vector<double>& row) {
    return row.size() == T && std::all_of(row.begin(), row.end(), [](double x) { return std::isfinite(x); });
  };
  if (T < 2 || !fits(untrained) || !std::all_of(R.begin(), R.end(), fits))
    throw std::invalid_argument(
        "transfer: expected a T x T matrix of finite numbers, T >= 2, and T numbers of an untrained network");
  Transfer result;
  const auto tasks = static_cast<double>(T), pairs = tasks - 1;
  for (std::size_t j = 0; j < T; ++j) {
    const double last = R[T - 1][j], own = R[j][j];
    result.average_accuracy += last / tasks;
    result.learning_accuracy += own / tasks;
    if (j > 0) result.forward_transfer += (R[j - 1][j] - untrained[j]) / pairs;
    if (j + 1 == T) continue;
    double best = R[0][j];
    for (std::size_t i = 1; i + 1 < T; ++i) best = std::max(best, R[i][j]);
    result.forgetting += (best - last) / pairs;
    result.backward_transfer += (last - own) / pairs;
  }
  return result;
}

}  // namespace grapes::report
