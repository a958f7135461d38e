#include "grapes/train/state.h"

namespace grapes::train {

nn::Signature signature_of(const data::Meaning& meaning) {
  return {meaning.input_shape, meaning.outputs, meaning.sequence, meaning.task == data::Task::prediction};
}

nn::Criterion criterion_of(const nn::Options& network, const Options& training, const data::Meaning& meaning) {
  return {training.loss, network.output, answer_of(meaning.task)};
}

TrainState::TrainState(const nn::Options& network, const optim::Options& update, const Options& training,
                       const data::Meaning& meaning)
    : model(nn::make_model(network, signature_of(meaning), training.seed)),
      criterion(criterion_of(network, training, meaning)),
      optimizer(optim::make_optimizer(update, nn::learning(*model))),
      schedule(optim::make_schedule(training.schedule, training.warm_up, training.epochs)),
      learning_rate(update.learning_rate) {}

}  // namespace grapes::train
