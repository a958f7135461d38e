#pragma once

#include "grapes/continual/method.h"
#include "grapes/record/record.h"

#include <vector>

namespace grapes::continual {

/// Why a network forgets: what learning a task did to its weights, and what that did to the tasks before.
///
/// For every weight, with ΔW what the task changed (rows are nodes):
///   moved        ‖ΔW‖, and `of` ‖W‖ before
///   overlap      cosine of ΔW and the change by the task before; overlap_size the same of |ΔW|: 1 if the same weights
///                moved, whichever way (null for the first task)
///   hurt         by how much the change of each node's weights raised the loss on the tasks before, summed: the path
///                integral ∫ ∂L/∂W · dW along the straight way from before to after by Simpson's rule, which over all
///                weights adds up to the rise of the loss. On equally many training examples of every earlier task.
///   factor_change, factor_hurt   rank correlation (Spearman) over the nodes of a hidden layer of the factor, unclipped
///                and taken before the task, with ‖ΔW_n‖ and with the node's part of hurt. Of every arm, whether it
///                modulates or not. Null where there is nothing to rank.
class Movement {
 public:
  explicit Movement(const Setting& setting);
  /// Before the first batch of a task.
  void begin();
  /// After its last: {"weights": [{"name", "moved", "of", "overlap", "overlap_size", "hurt", "factor_change",
  /// "factor_hurt"}], "loss_before", "loss_after": on the tasks before (null for the first task)}.
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

  const Setting setting_;
  std::vector<nn::Named> weights_;  // the live ones
  std::vector<at::Tensor> before_;  // as they were when the task began
  std::vector<at::Tensor> change_;  // ΔW of the task before
};

/// Spearman's rank correlation, ties sharing their mean rank; NaN if one of the two does not vary.
/// @param x, y  [n]
double rank_correlation(const at::Tensor& x, const at::Tensor& y);

}  // namespace grapes::continual
