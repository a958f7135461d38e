#include "grapes/train/step.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>

#include <cmath>

namespace grapes::train {

StepResult step(Subject& subject, const data::Batch& batch, nn::Pass pass, const StepUse& use) {
  pass.training = true;
  pass.present = batch.present;
  pass.plain = use.plain;
  const bool may_descend = use.update && subject.optimizer.plain_descent() && subject.model.fuses_sgd(pass);
  const bool wants_gradients = !use.descend || use.gradient_norms != nullptr || use.gradients || use.carried;
  if (subject.model.requires_fused_update() && (!may_descend || use.gradients || use.carried))
    throw UsageError(
        "a network that learns by pulses takes optimizer sgd without weight decay, and nothing that needs a gradient");
  const bool descends = may_descend && (!wants_gradients || subject.model.requires_fused_update());
  if (descends) pass.fused_sgd = use.rate;
  subject.optimizer.begin();
  if (use.factors_at_rest) pass.factor_weights = subject.optimizer.at_rest();
  const at::Tensor all = subject.model.forward(batch.inputs, pass);
  const at::Tensor logits = use.answers ? use.answers(all) : all;
  at::Tensor loss = subject.criterion.loss(logits, batch.targets, batch.present);
  if (const at::Tensor extra = use.extra_loss ? use.extra_loss(all) : at::Tensor(); extra.defined())
    loss = loss + extra;
  const StepResult result{logits.detach().cpu(), loss.item<double>()};
  if (!std::isfinite(result.loss)) {
    subject.optimizer.settle();
    return result;
  }
  (use.weight == 1 ? loss : loss * use.weight).backward();
  if (descends) {
    if (use.gradient_norms != nullptr) use.gradient_norms->clear();
    return result;
  }
  if (use.gradient_norms != nullptr) {
    use.gradient_norms->clear();
    for (const nn::Named& parameter : subject.model.parameters())
      use.gradient_norms->push_back(parameter.value.grad().defined() ? parameter.value.grad().norm().item<double>()
                                                                     : 0.0);
  }
  if (use.gradients) use.gradients();
  if (use.update)
    subject.optimizer.step(use.rate);
  else
    subject.optimizer.settle();
  return result;
}

}  // namespace grapes::train
