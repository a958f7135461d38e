#include "grapes/train/step.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>

#include <cmath>

namespace grapes::train {

StepResult step(TrainState& state, const data::Batch& batch, nn::Pass pass, const StepOptions& options) {
  nn::Network& model = *state.model;
  optim::Optimizer& optimizer = *state.optimizer;
  pass.training = true;
  pass.present = batch.present;
  pass.plain = options.plain;
  const bool may_fuse = options.update && optimizer.is_plain_sgd() && model.fuses_sgd(pass);
  const bool needs_gradients = options.before_update || options.carried || options.sharing != nullptr;
  if (model.requires_fused_update() && (!may_fuse || needs_gradients))
    throw UsageError(
        "optimizer",
        "must be sgd without weight decay for a network that learns by pulses, and nothing else may need its "
        "gradients");
  const bool wants_gradients = needs_gradients || !options.fused_sgd || options.gradient_norms != nullptr;
  const bool fused = may_fuse && (!wants_gradients || model.requires_fused_update());
  if (fused) pass.fused_sgd = options.rate;
  optimizer.begin();
  if (options.factors_at_rest) pass.factor_weights = optimizer.parameters_without_lookahead();
  const at::Tensor all = model.forward(batch.inputs, pass);
  const at::Tensor logits = options.select_head ? options.select_head(all) : all;
  const at::Tensor loss = options.loss ? options.loss(all) : state.criterion.loss(logits, batch.targets, batch.present);
  StepResult result{logits.detach().cpu(), loss.item<double>()};
  // A process whose loss is not finite continues until the other processes know it.
  if (!std::isfinite(result.loss) && options.sharing == nullptr) {
    optimizer.restore();
    return result;
  }
  if (options.sharing != nullptr) options.sharing->begin(result.loss, options.weight, options.update);
  (options.weight == 1 ? loss : loss * options.weight).backward();
  if (options.sharing != nullptr && options.update && !options.sharing->finish()) {
    optimizer.restore();
    return result;
  }
  model.mirror_gradients();
  if (options.gradient_norms != nullptr) {
    options.gradient_norms->clear();
    for (const nn::Named& parameter : fused ? std::vector<nn::Named>() : model.parameters())
      options.gradient_norms->push_back(parameter.value.grad().defined() ? parameter.value.grad().norm().item<double>()
                                                                         : 0.0);
  }
  if (options.before_update) options.before_update();
  result.updated = options.update;
  if (!options.update)
    optimizer.restore();
  else if (!fused)
    optimizer.step(options.rate);
  if (result.updated && options.after_update) options.after_update(result);
  return result;
}

}  // namespace grapes::train
