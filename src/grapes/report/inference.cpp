#include "grapes/report/inference.h"

#include "grapes/base/random.h"

#include <boost/math/distributions/students_t.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <stdexcept>

namespace grapes::report {
namespace {

constexpr std::size_t draws = 20'000, resamples = 10'000;

double t_quantile(double degrees, double two_sided) {
  return boost::math::quantile(boost::math::students_t(degrees), 1 - two_sided / 2);
}

using Matrix = std::vector<std::vector<double>>;

/// Returns the correlations of the comparisons, 0 for one whose differences are all equal.
Matrix correlations(Matrix differences) {
  for (std::vector<double>& x : differences) {
    if (x.size() < 2 || x.size() != differences.front().size())
      throw std::invalid_argument("simultaneous_quantile: all comparisons must have the same pairs, at least 2");
    const double center = mean(x), norm = standard_deviation(x) * std::sqrt(static_cast<double>(x.size() - 1));
    const bool equal = norm <= 1e-12 * std::abs(center);  // but for rounding
    for (double& value : x) value = equal ? 0 : (value - center) / norm;
  }
  Matrix R;
  for (const std::vector<double>& x : differences) {
    R.emplace_back();
    for (const std::vector<double>& y : differences)
      R.back().push_back(std::inner_product(x.begin(), x.end(), y.begin(), 0.0));
  }
  return R;
}

/// Returns the columns of a matrix L with L Lᵀ = R, by Cholesky's method; a column for each dimension of R. Column j is
/// 0 above the comparison that it adds.
Matrix root_of(const Matrix& R) {
  Matrix columns;
  for (std::size_t j = 0; j < R.size(); ++j) {
    std::vector<double> column(R.size(), 0.0);
    for (std::size_t i = j; i < R.size(); ++i) {
      column[i] = R[i][j];
      for (const std::vector<double>& earlier : columns) column[i] -= earlier[i] * earlier[j];
    }
    const double pivot = column[j];
    if (pivot < 1e-10) continue;  // a combination of earlier comparisons
    for (double& value : column) value /= std::sqrt(pivot);
    columns.push_back(std::move(column));
  }
  return columns;
}

/// Checks scores, and returns all of them in one vector.
std::vector<double> flat(const TaskScores& scores, const char* function) {
  std::vector<double> all;
  for (const std::vector<double>& runs : scores) {
    if (runs.empty()) throw std::invalid_argument(std::string(function) + ": every task must have a run");
    all.insert(all.end(), runs.begin(), runs.end());
  }
  if (all.empty()) throw std::invalid_argument(std::string(function) + ": there must be a task");
  mean(all);  // throws if a number is not finite
  return all;
}

/// Resamples the runs of each task.
void resample(const TaskScores& scores, Random& random, TaskScores& result) {
  for (std::size_t task = 0; task < scores.size(); ++task)
    for (double& value : result[task]) value = scores[task][random.below(scores[task].size())];
}

/// Returns the percentile interval, with NumPy's linear interpolation between the two nearest values.
Interval percentiles(std::vector<double> values, double confidence) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {
    const double place = part * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const double next = values[std::min(below + 1, values.size() - 1)];
    return values[below] + (place - std::floor(place)) * (next - values[below]);
  };
  return {at((1 - confidence) / 2), at((1 + confidence) / 2)};
}

/// Sorts `all` only as far as needed.
double middle_mean(std::vector<double>& all) {
  const auto cut = static_cast<std::ptrdiff_t>(all.size() / 4);
  const auto begin = all.begin() + cut, end = all.end() - cut;
  std::nth_element(all.begin(), begin, all.end());
  if (end != all.end()) std::nth_element(begin, end, all.end());
  return std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin);
}

double share_of_wins(const TaskScores& x, const TaskScores& y) {
  double sum = 0;
  for (std::size_t task = 0; task < x.size(); ++task) {
    std::int64_t doubled = 0;
    for (const double a : x[task])
      for (const double b : y[task]) doubled += (a > b ? 2 : 0) + (a == b ? 1 : 0);
    sum += static_cast<double>(doubled) / (2.0 * static_cast<double>(x[task].size() * y[task].size()));
  }
  return sum / static_cast<double>(x.size());
}

}  // namespace

double bonferroni_quantile(std::size_t pairs, std::size_t comparisons, double confidence) {
  if (pairs < 2 || comparisons == 0)
    throw std::invalid_argument("bonferroni_quantile: expected at least 2 pairs and 1 comparison");
  return t_quantile(static_cast<double>(pairs - 1), (1 - confidence) / static_cast<double>(comparisons));
}

double simultaneous_quantile(const std::vector<std::vector<double>>& differences, double confidence) {
  if (differences.empty()) throw std::invalid_argument("simultaneous_quantile: there must be a comparison");
  const Matrix root = root_of(correlations(differences));
  const std::size_t pairs = differences.front().size(), comparisons = differences.size();
  const auto n = static_cast<double>(pairs);
  const double least = t_quantile(n - 1, 1 - confidence), most = bonferroni_quantile(pairs, comparisons, confidence);
  if (pairs == 2) return most;        // two pairs say nothing about correlations: all are estimated as 1 or -1
  if (root.size() < 2) return least;  // all comparisons are the same one
  Random random(stream_seed(1, "simultaneous_quantile"));
  std::vector<double> largest, drawn(comparisons), sums(comparisons), squares(comparisons);
  for (std::size_t draw = 0; draw < draws; ++draw) {
    std::ranges::fill(sums, 0.0);
    std::ranges::fill(squares, 0.0);
    for (std::size_t pair = 0; pair < pairs; ++pair) {
      std::ranges::fill(drawn, 0.0);
      for (const std::vector<double>& column : root) {
        const double g = random.normal();
        for (std::size_t k = 0; k < comparisons; ++k) drawn[k] += column[k] * g;
      }
      for (std::size_t k = 0; k < comparisons; ++k) sums[k] += drawn[k], squares[k] += drawn[k] * drawn[k];
    }
    double square = 0;  // the largest T², T = mean √n / s = sum √(n-1) / √(n Σx² - sum²)
    for (std::size_t k = 0; k < comparisons; ++k)
      if (squares[k] > 0) square = std::max(square, sums[k] * sums[k] * (n - 1) / (n * squares[k] - sums[k] * sums[k]));
    largest.push_back(std::sqrt(square));
  }
  const auto at = largest.begin() + static_cast<std::ptrdiff_t>(confidence * static_cast<double>(draws));
  std::nth_element(largest.begin(), at, largest.end());
  // For any correlations it lies between the quantiles of one comparison and of Bonferroni.
  return std::clamp(*at, least, most);
}

std::optional<double> equivalence(const std::vector<double>& differences, double margin, std::optional<double> error) {
  const double center = std::abs(differences.empty() ? 0 : mean(differences));
  if (!(margin > 0)) throw std::invalid_argument("equivalence: the margin must be above 0");
  if (differences.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(differences.size());
  if (!error) error = standard_deviation(differences) / std::sqrt(n);
  if (*error == 0) return center < margin ? 0 : 1;
  return boost::math::cdf(boost::math::students_t(n - 1), (center - margin) / *error);
}

std::string to_string(Verdict verdict) {
  constexpr std::array names = {"better", "worse", "negligible", "no difference", "not resolved"};
  return names.at(static_cast<std::size_t>(verdict));
}

Verdict verdict_of(double mean, const Interval& interval, const std::optional<double>& p_equivalence,
                   double smallest_effect) {
  if (interval.low > 0 || interval.high < 0) {
    if (std::abs(mean) < smallest_effect) return Verdict::negligible;
    return mean > 0 ? Verdict::better : Verdict::worse;
  }
  return p_equivalence && *p_equivalence < 0.05 ? Verdict::no_difference : Verdict::not_resolved;
}

std::optional<double> crossed_error(const std::vector<std::vector<std::int8_t>>& table) {
  if (table.size() < 2 || table.front().size() < 2) return std::nullopt;
  const auto n = static_cast<double>(table.size()), m = static_cast<double>(table.front().size());
  std::vector<double> rows;
  std::vector<std::int64_t> columns(table.front().size(), 0);
  double squares = 0;
  for (const std::vector<std::int8_t>& row : table) {
    if (row.size() != columns.size())
      throw std::invalid_argument("crossed_error: all runs must have the same number of examples");
    std::int64_t sum = 0, changed = 0;
    for (std::size_t j = 0; j < row.size(); ++j) {
      sum += row[j];
      changed += row[j] * row[j];
      columns[j] += row[j];
    }
    rows.push_back(static_cast<double>(sum) / m);
    squares += static_cast<double>(changed);
  }
  const double center = mean(rows), of_rows = (n - 1) * std::pow(standard_deviation(rows), 2);  // Σ a_i²
  double of_columns = 0;                                                                        // Σ b_j²
  for (const std::int64_t sum : columns) of_columns += std::pow(static_cast<double>(sum) / n - center, 2);
  const double left = squares - n * m * center * center - m * of_rows - n * of_columns;  // Σ c_ij²
  const double examples = n * of_columns / (m - 1) - left / ((n - 1) * (m - 1));
  return std::sqrt(of_rows / (n * (n - 1)) + std::max(0.0, examples) / (n * m));
}

Aggregate interquartile_mean(const TaskScores& scores, double confidence) {
  std::vector<double> all = flat(scores, "interquartile_mean"), values;
  const double value = middle_mean(all);
  Random random(stream_seed(1, "interquartile_mean"));
  TaskScores drawn = scores;
  for (std::size_t i = 0; i < resamples; ++i) {
    resample(scores, random, drawn);
    all.clear();
    for (const std::vector<double>& runs : drawn) all.insert(all.end(), runs.begin(), runs.end());
    values.push_back(middle_mean(all));
  }
  return {value, percentiles(std::move(values), confidence)};
}

Aggregate probability_of_improvement(const TaskScores& x, const TaskScores& y, double confidence) {
  flat(x, "probability_of_improvement");
  flat(y, "probability_of_improvement");
  if (x.size() != y.size())
    throw std::invalid_argument("probability_of_improvement: both arms must have the same tasks");
  Random random(stream_seed(1, "probability_of_improvement"));
  TaskScores of_x = x, of_y = y;
  std::vector<double> values;
  for (std::size_t i = 0; i < resamples; ++i) {
    resample(x, random, of_x);
    resample(y, random, of_y);
    values.push_back(share_of_wins(of_x, of_y));
  }
  return {share_of_wins(x, y), percentiles(std::move(values), confidence)};
}

}  // namespace grapes::report
