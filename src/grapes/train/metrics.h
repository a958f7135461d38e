#pragma once

#include "grapes/data/dataset.h"
#include "grapes/nn/loss.h"

#include <ATen/core/Tensor.h>

namespace grapes::train {

/// accuracy, r2, log_likelihood: of all of them more is better.
std::string score_name(data::ProblemKind problem);
nn::TargetKind target_kind(data::ProblemKind problem);

/// Running loss and score of a pass over a data set.
///   classification: score = accuracy = right / n
///   prediction:     loss = negative log-likelihood of a step, mean over all steps; score = minus that
///   regression:     score = R² = 1 - Σ (o - t)² / Σ (t - t̄)², over all outputs, t̄ each output's mean
class Metrics {
 public:
  explicit Metrics(const data::Dataset& dataset);
  /// @param loss  mean over this batch; @param prediction  [batch, outputs], or [batch, time, outputs]
  void add(double loss, const at::Tensor& prediction, const data::Batch& batch);

  double loss() const { return counted > 0 ? loss_sum / counted : 0; }
  double score() const;

  double loss_sum = 0;   ///< over samples, or steps of a prediction
  double counted = 0;    ///< of these so many
  double score_sum = 0;  ///< right answers, or squared error
  std::int64_t samples = 0;

 private:
  data::ProblemKind problem_;
  double spread_ = 0;  // mean squared distance of the targets from their mean, times their number of outputs
};

}  // namespace grapes::train
