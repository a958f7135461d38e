#pragma once

#include "grapes/data/dataset.h"
#include "grapes/dist/group.h"
#include "grapes/nn/loss.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace grapes::train {

/// Returns accuracy, r2 or log_likelihood. For all of them higher is better.
std::string score_name(data::ProblemKind problem);
nn::TargetKind target_kind(data::ProblemKind problem);

/// Running sums of a pass over a data set.
struct Totals {
  double loss = 0;     ///< summed over examples, or over the time steps of a prediction
  double counted = 0;  ///< number of examples or time steps
  double score = 0;    ///< number of correct answers, or squared error
  std::int64_t samples = 0;
};

/// Returns the sums over all processes.
Totals summed(dist::Group& group, const Totals& totals);

/// Running loss and score of a pass over a data set.
///   classification: score = accuracy = correct / n
///   prediction:     loss = negative log-likelihood of a step, mean over all steps; score = minus that
///   regression:     score = R² = 1 - Σ (o - t)² / Σ (t - t̄)², over all outputs, t̄ each output's mean
class Metrics {
 public:
  explicit Metrics(const data::Dataset& dataset, const Totals& begin = {});
  /// @param loss  mean over this batch @param prediction  [batch, outputs] or [batch, time, outputs]
  void add(double loss, const at::Tensor& prediction, const data::Batch& batch);

  double loss() const { return totals_.counted > 0 ? totals_.loss / totals_.counted : 0; }
  double score() const;
  const Totals& totals() const { return totals_; }

 private:
  data::ProblemKind problem_;
  Totals totals_;
  double spread_ = 0;  // mean squared distance of the targets from their mean, times the number of outputs
};

}  // namespace grapes::train
