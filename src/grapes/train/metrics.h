#pragma once

#include "grapes/data/dataset.h"

#include <ATen/core/Tensor.h>

namespace grapes::train {

/// Running loss and score of a pass over a data set.
///   classification: score = accuracy = right / n
///   regression:     score = R² = 1 - Σ (o - t)² / Σ (t - t̄)², over all outputs, t̄ each output's mean
class Metrics {
 public:
  explicit Metrics(const data::Dataset& dataset);
  /// @param loss  mean over this batch; @param prediction  [batch, outputs]
  void add(double loss, const at::Tensor& prediction, const at::Tensor& targets);

  double loss() const { return samples > 0 ? loss_sum / static_cast<double>(samples) : 0; }
  double score() const;

  double loss_sum = 0;   ///< over samples
  double score_sum = 0;  ///< right answers, or squared error
  std::int64_t samples = 0;

 private:
  data::Task task_;
  double spread_ = 0;  // mean squared distance of the targets from their mean, times their number of outputs
};

}  // namespace grapes::train
