#pragma once

#include "grapes/continual/method.h"
#include "grapes/record/record.h"

#include <vector>

namespace grapes::continual {

/// Analyzes forgetting: how learning a task changed the weights, and how that affected earlier tasks.
///
/// The analysis has these fields for every weight matrix W, where ΔW is its change in the task (rows are units):
///   weight_change         ‖ΔW‖
///   weight_norm           ‖W‖ before the task
///   overlap               cosine of ΔW and the change in the previous task (null for the first task)
///   overlap_size          the same of |ΔW|; it is 1 if the same weights changed equally much, in any direction
///   loss_increase         how much ΔW increased the loss on the earlier tasks: the path integral ∫ ∂L/∂W · dW, summed
///                         over units. The path is the straight line from the old to the new weights (Simpson's rule).
///                         The sum over all weight matrices is the increase of the loss. The loss uses equally many
///                         training examples of every earlier task, in evaluation mode.
///   factor_change         rank correlation (Spearman) over the units of a hidden layer between the factor and ‖ΔW_n‖
///   factor_loss_increase  the same between the factor and the unit's part of loss_increase
/// The factors are not clipped. They are taken before the task, and also for arms without modulation. A correlation is
/// null if there is nothing to rank.
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
