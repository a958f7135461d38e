#include "grapes/train/state.h"

#include "grapes/base/error.h"

#include <ATen/ops/tensor.h>

namespace grapes::train {

nn::Signature signature_of(const data::DatasetInfo& info) {
  return {info.input_shape, info.outputs, info.sequence, info.problem == data::ProblemKind::prediction};
}

nn::Criterion criterion_of(const nn::Options& network, const Options& training, const data::DatasetInfo& info) {
  nn::Criterion criterion(training.loss, network.output, target_kind(info.problem));
  // Only an output that is not bounded can compute standardized targets.
  const bool unbounded = network.output == "auto" || network.output == "identity";
  if (unbounded && !info.target_mean.empty())
    criterion.standardize(at::tensor(info.target_mean, at::kDouble), at::tensor(info.target_deviation, at::kDouble));
  return criterion;
}

std::unique_ptr<optim::Optimizer> optimizer_of(const optim::Options& update, const nn::Network& model) {
  const optim::Row& row = optim::row_of(update);
  if (!row.elementwise && model.learns_feedback())
    throw UsageError("optimizer",
                     row.name + " makes steps that depend on the weights, so the feedback weights of route " +
                         model.rule().route + " would not get the updates of the weights; use adam or sgd");
  return optim::make_optimizer(update, nn::learning(model), row.follows_paths ? model.path_sums() : optim::Paths());
}

TrainState::TrainState(const nn::Options& network, const optim::Options& update, const Options& training,
                       const data::DatasetInfo& info)
    : model(nn::make_network(network, signature_of(info), training.seed)),
      criterion(criterion_of(network, training, info)),
      optimizer(optimizer_of(update, *model)),
      schedule(optim::make_schedule(training.schedule, training.warm_up, training.epochs)),
      learning_rate(update.learning_rate) {}

}  // namespace grapes::train
