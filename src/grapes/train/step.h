#pragma once

#include "grapes/data/dataset.h"
#include "grapes/train/evaluate.h"
#include "grapes/train/state.h"

#include <functional>
#include <vector>

namespace grapes::train {

/// What one batch gave.
struct StepResult {
  at::Tensor logits;     ///< [batch, outputs], the selected ones, from the forward pass before the update; no graph
  double loss = 0;       ///< mean over the batch; not finite: no update was made
  bool updated = false;  ///< whether the weights were updated
};

/// How a batch is used.
struct StepOptions {
  double rate = 0;        ///< learning rate
  double weight = 1;      ///< the loss is times this: a remainder that is averaged over a full batch has less than 1
  bool update = true;     ///< false: the gradient stays in .grad and joins the next batch's
  bool carried = false;   ///< gradients of an earlier batch wait in .grad
  bool plain = false;     ///< by the reference implementations of all fused code
  bool fused_sgd = true;  ///< false: write gradients also where the backward pass could update by itself
  bool factors_at_rest = false;  ///< under NAG take the factors from W, not from the look-ahead weights
  std::vector<double>* gradient_norms = nullptr;  ///< if wanted: Euclidean norm per parameter, before the update
  HeadSelector select_head = {};                  ///< which of the logits this batch is about
  std::function<at::Tensor(const at::Tensor& logits)> extra_loss = {};  ///< added, [] with a graph, or undefined
  std::function<void()> before_update = {};  ///< after the backward pass: may add to the gradients
  std::function<void()> after_update = {};
};

/// One batch: look ahead, forward, loss, backward along the rule's route, update (where the update is W -= η g and
/// nothing more, the backward pass makes it). The one place where weights learn: training, continual learning, parity
/// and benchmarks all come through here.
/// @param pass  `training`, `present` and `plain` are set here
/// @throws c10::ValueError naming the layer, if a weight the factor needs is not finite
StepResult step(TrainState& state, const data::Batch& batch, nn::Pass pass, const StepOptions& options);

}  // namespace grapes::train
