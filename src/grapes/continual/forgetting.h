#pragma once

#include "grapes/continual/method.h"
#include "grapes/record/record.h"

#include <vector>

namespace grapes::continual {

/// Why a network forgets: what learning a task did to its weights, and what that did to the tasks before.
///
/// For every weight, with ΔW what the task changed (rows are units):
///   weight_change   ‖ΔW‖, and weight_norm ‖W‖ before
///   overlap         cosine of ΔW and the change by the task before; overlap_size the same of |ΔW|: 1 if the same
///                   weights changed, whichever way (null for the first task)
///   loss_increase   by how much the change of each unit's weights raised the loss on the tasks before, summed: the
///   path
///                   integral ∫ ∂L/∂W · dW along the straight line from before to after by Simpson's rule, which over
///                   all weights adds up to the rise of the loss. On equally many training examples of every earlier
///                   task, in evaluation mode.
///   factor_change, factor_loss_increase   rank correlation (Spearman) over the units of a hidden layer of the factor,
///                   unclipped and taken before the task, with ‖ΔW_n‖ and with the unit's part of loss_increase. Of
///                   every arm, whether it modulates or not. Null where there is nothing to rank.
class ForgettingAnalysis {
 public:
  explicit ForgettingAnalysis(const MethodContext& context);
  /// Before the first batch of a task.
  void begin();
  /// After its last: {"weights": [{"name", "moved", "of", "overlap", "overlap_size", "hurt", "factor_change",
  /// "factor_loss_increase"}], "loss_before", "loss_after": on the tasks before (null for the first task)}.
  record::Json end(std::int64_t task);
  /// For a checkpoint.
  std::vector<Method::State> state() const;

 private:
  struct Gradients {
    double loss = 0;
    std::vector<at::Tensor> of;  // per weight
  };
  /// Of the loss on the tasks before `task`, at the weights before + part · ΔW.
  Gradients gradients(std::int64_t task, double part) const;

  const MethodContext context_;
  std::vector<nn::Named> weights_;  // the live ones
  std::vector<at::Tensor> before_;  // as they were when the task began
  std::vector<at::Tensor> change_;  // ΔW of the task before
};

/// Spearman's rank correlation, ties sharing their mean rank; NaN if one of the two does not vary.
/// @param x, y  [n]
double rank_correlation(const at::Tensor& x, const at::Tensor& y);

}  // namespace grapes::continual
