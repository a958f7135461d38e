#pragma once

#include "grapes/data/dataset.h"
#include "grapes/train/evaluate.h"
#include "grapes/train/sharing.h"
#include "grapes/train/state.h"

#include <functional>
#include <vector>

namespace grapes::train {

/// Results of one batch.
struct StepResult {
  at::Tensor logits;     ///< [batch, outputs], the selected logits of the forward pass before the update; no graph
  double loss = 0;       ///< mean over the batch; if it is not finite, no update was made
  bool updated = false;  ///< whether the weights were updated
};

/// Options of one batch.
struct StepOptions {
  double rate = 0;               ///< learning rate
  double weight = 1;             ///< multiplies the loss; below 1 for a remainder that is averaged over a full batch,
                                 ///< and for a share of a batch
  Sharing* sharing = nullptr;    ///< null: this is a whole batch; else a part, of which only the last updates
  bool update = true;            ///< false: the gradient stays in .grad and is added to the next batch's
  bool carried = false;          ///< .grad contains gradients of an earlier batch
  bool plain = false;            ///< use the reference implementations of all fused code
  bool fused_update = true;      ///< false: write gradients even if the backward pass could update by itself
  bool factors_at_rest = false;  ///< NAG: compute the factors from W instead of the look-ahead weights
  std::vector<double>* gradient_norms =
      nullptr;  ///< null, or receives the Euclidean norm per parameter before the update
  std::vector<double>* update_norms = nullptr;  ///< null, or receives the Euclidean norm of each parameter's update
  HeadSelector select_head = {};                ///< selects the logits that this batch trains
  std::function<at::Tensor(const at::Tensor& logits)> loss =
      {};  ///< the loss of all logits, [] with a graph; empty: the criterion of the selected logits
  std::function<void()> before_update = {};  ///< called after the backward pass; may add to the gradients
  std::function<void(const StepResult&)> after_update = {};
};

/// Trains on one batch: look-ahead, forward pass, loss, backward pass along the rule's route, update. If nothing
/// else needs the gradients, the backward pass makes the update. This is the only function that trains weights:
/// training, continual learning, parity and benchmarks call it.
/// @param pass  `training`, `present` and `plain` are set here
/// @throws c10::ValueError with the layer's name if a weight that a factor needs is not finite
StepResult step(TrainState& state, const data::Batch& batch, nn::Pass pass, const StepOptions& options);

}  // namespace grapes::train
