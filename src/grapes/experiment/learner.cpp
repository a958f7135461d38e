#include "grapes/experiment/learner.h"

#include <ATen/ATen.h>

#include <utility>

namespace grapes::experiment {

Learner::Learner(Setting setting)
    : setting_(std::move(setting)),
      criterion_("auto", "auto", setting_.targets),
      model_(nn::make_network(setting_.network, setting_.signature, 1)),
      optimizer_(optim::make_optimizer(setting_.optimizer, nn::learning(*model_))),
      schedule_(optim::make_schedule("constant", 0, 1)) {}

void Learner::step() {
  nn::Pass pass;
  pass.step = steps_++;
  train::StepUse use;
  use.rate = setting_.rate;
  use.plain = setting_.plain;
  use.descend = setting_.descend;
  train::Subject subject{*model_, criterion_, *optimizer_, *schedule_, use.rate};
  train::step(subject, setting_.batch, pass, use);
}

at::Tensor classes_in_turn(std::int64_t batch, std::int64_t classes) {
  return at::arange(batch, at::kLong).remainder(classes);
}

}  // namespace grapes::experiment
