#pragma once

#include <optional>
#include <vector>

namespace grapes::report {

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
