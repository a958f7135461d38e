#pragma once

#include "grapes/train/trainer.h"

#include <functional>
#include <vector>

namespace grapes::train {

/// What one batch gave.
struct StepResult {
  at::Tensor logits;  ///< [batch, outputs], those asked for, from the forward pass before the update; no graph
  double loss = 0;    ///< mean over the batch; not finite: no update was made
};

/// How a batch is used.
struct StepUse {
  double rate = 0;       ///< learning rate
  double weight = 1;     ///< the loss is times this: a remainder that is averaged over a full batch has less than 1
  bool update = true;    ///< false: the gradient stays in .grad and joins the next batch's
  bool carried = false;  ///< gradients of an earlier batch wait in .grad
  bool plain = false;    ///< by the slow twins of all fused code
  bool descend = true;   ///< false: write gradients also where the backward pass could do without them
  bool factors_at_rest = false;
  std::vector<double>* gradient_norms = nullptr;  ///< if wanted: Euclidean norm per parameter, before the update
  View answers = {};                              ///< what of the logits this batch is about
  std::function<at::Tensor(const at::Tensor& logits)> extra_loss = {};  ///< added, [] with a graph, or nothing
  std::function<void()> gradients = {};  ///< between the backward pass and the update: may add to the gradients
};

/// One batch: look ahead, forward, loss, backward along the rule's route, update (where the update is a plain descent,
/// the backward pass makes it). The one place where weights learn:
/// `grapes train`, `compare` and `replay` all come through here.
/// @throws c10::ValueError naming the layer, if a weight the factor needs is not finite
StepResult step(Subject& subject, const data::Batch& batch, nn::Pass pass, const StepUse& use);

}  // namespace grapes::train
