#include "grapes/experiment/learner.h"

#include <ATen/ATen.h>

#include <utility>

namespace grapes::experiment {

Learner::Learner(Setting setting)
    : setting_(std::move(setting)), state_(setting_.network, setting_.optimizer, {}, setting_.info) {}

void Learner::step() {
  nn::Pass pass;
  pass.step = steps_++;
  train::StepOptions options;
  options.rate = setting_.rate;
  options.plain = setting_.plain;
  options.fused_sgd = setting_.fused_sgd;
  train::step(state_, setting_.batch, pass, options);
}

at::Tensor classes_in_turn(std::int64_t batch, std::int64_t classes) {
  return at::arange(batch, at::kLong).remainder(classes);
}

}  // namespace grapes::experiment
