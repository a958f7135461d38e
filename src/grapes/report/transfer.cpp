#include "grapes/report/transfer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace grapes::report {

Transfer transfer(const std::vector<std::vector<double>>& R, const std::vector<double>& untrained) {
  const std::size_t T = R.size();
  const auto fits = [&](const std::vector<double>& row) {
    return row.size() == T && std::all_of(row.begin(), row.end(), [](double x) { return std::isfinite(x); });
  };
  if (T < 2 || !fits(untrained) || !std::all_of(R.begin(), R.end(), fits))
    throw std::invalid_argument(
        "transfer: expected a T x T matrix of finite numbers, T >= 2, and T of an untrained one");
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
