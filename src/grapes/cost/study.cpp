#include "grapes/cost/study.h"

#include "grapes/base/error.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/run.h"
#include "grapes/train/state.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace grapes::cost {
namespace {

void require_countable(const nn::Options& network) {
  if (network.norm != nn::Norm::none)
    throw UsageError("norm", "must be none here, because the cost of normalization is not modeled");
  if (network.analog) throw UsageError("analog", "must be none here, because the cost of crossbars is not modeled");
  if (network.precision != nn::Precision())
    throw UsageError("precision", "must be float32 here, because all parts have the same number format");
  if (network.recompute)
    throw UsageError("recompute", "must be false here, because the cost of recomputation is not modeled");
  if (network.spiking.truncate > 0)
    throw UsageError("tbptt_steps", "must be 0 here, because truncated backpropagation through time is not modeled");
}

Arm arm_of(experiment::Config config, const Problem& problem) {
  config.arm.clear();
  const auto model = nn::make_network(config.network, problem.signature, config.training.seed);
  const Learning learning = {model->rule(), config.optimizer.optimizer, config.optimizer.weight_decay > 0,
                             config.network.activation, config.training.batch_size};
  return {experiment::arm_label(config), learning.optimizer, cost_of(model->shapes(problem.steps), learning)};
}

std::vector<Arm> arms_beside(experiment::Config config, const Problem& problem) {
  std::vector<Arm> arms;
  config.network.rule.constants.clear();
  for (const char* route : {"bp", "fa", "dfa"})
    for (const char* modulation : {"none", "grapes"})
      for (const char* optimizer : {"sgd", "momentum", "adam"}) {
        config.network.rule.route = route;
        config.network.rule.modulation = modulation;
        config.optimizer.optimizer = optimizer;
        arms.push_back(arm_of(config, problem));
      }
  return arms;
}

}  // namespace

Problem problem_of(const experiment::Config& config, const data::Splits& splits) {
  Problem problem{train::signature_of(experiment::info_of(config, splits))};
  if (problem.signature.sequence) {
    const std::int64_t batch = std::min(config.training.batch_size, splits.train->size());
    problem.steps = splits.train->get(at::arange(batch, at::kLong)).inputs.size(1);
  }
  return problem;
}

Study study(const experiment::Config& config, const Problem& problem) {
  require_countable(config.network);
  return {nn::to_string(config.network.model), problem, config.training.batch_size, arm_of(config, problem),
          arms_beside(config, problem)};
}

}  // namespace grapes::cost
