#pragma once

#include "grapes/continual/method.h"
#include "grapes/record/record.h"

#include <vector>

namespace grapes::continual {

/// Analyzes forgetting: how learning a task changed the weights, and how that affected earlier tasks.
///
/// For every weight, with ΔW the task's change (rows are units):
///   weight_change   ‖ΔW‖, and weight_norm ‖W‖ before the task
///   overlap         cosine of ΔW and the change of the previous task; overlap_size the same of |ΔW|, which is 1 if the
///                   same weights changed, in any direction (null for the first task)
///   loss_increase   how much the change of each unit's weights raised the loss on earlier tasks, summed over units. It
///   is
///                   the path integral ∫ ∂L/∂W · dW along the straight line from before to after, by Simpson's rule.
///                   The sum over all weights is the rise of the loss. It uses equally many training examples of every
///                   earlier task, in evaluation mode.
///   factor_change, factor_loss_increase   rank correlation (Spearman) over the units of a hidden layer between the
///   factor
///                   and ‖ΔW_n‖, and between the factor and the unit's part of loss_increase. The factor is unclipped
///                   and taken before the task, for arms with and without modulation. Null if there is nothing to rank.
class ForgettingAnalysis {
 public:
  explicit ForgettingAnalysis(const MethodContext& context);
  /// Called before the first batch of a task.
  void begin();
  /// Called after the last batch of a task. Returns {"weights": [{"name", "weight_change", "weight_norm", "overlap",
  /// "overlap_size", "loss_increase", "factor_change", "factor_loss_increase"}], "loss_before", "loss_after": losses on
  /// the earlier tasks (null for the first task)}.
  record::Json end(std::int64_t task);
  /// State for a checkpoint.
  std::vector<Method::State> state() const;

 private:
  struct Gradients {
    double loss = 0;
    std::vector<at::Tensor> of;  // per weight
  };
  /// Gradients of the loss on the tasks before `task`, at the weights before + part · ΔW.
  Gradients gradients(std::int64_t task, double part) const;

  const MethodContext context_;
  std::vector<nn::Named> weights_;  // not copies
  std::vector<bool> modulated_;     // whether the weight determines factors
  std::vector<at::Tensor> before_;  // values at the start of the task
  std::vector<at::Tensor> change_;  // ΔW of the previous task
};

/// Returns Spearman's rank correlation, with mean ranks for ties; NaN if one of the two is constant.
/// @param x, y  [n]
double rank_correlation(const at::Tensor& x, const at::Tensor& y);

}  // namespace grapes::continual
