#pragma once

#include "grapes/train/step.h"

#include <ATen/ATen.h>

#include <string>
#include <vector>

// Shared by tests of single training steps.
namespace grapes::train {

inline data::DatasetInfo classes_of(std::vector<std::int64_t> input_shape, std::int64_t classes) {
  return {data::ProblemKind::classification, std::move(input_shape), classes, {}};
}

inline optim::Options update_by(const std::string& optimizer, double learning_rate = 0.1, double epsilon = 1e-8) {
  optim::Options options;
  options.optimizer = optimizer;
  options.learning_rate = learning_rate;
  options.epsilon = epsilon;
  return options;
}

inline Options seeded(std::uint64_t seed) {
  Options options;
  options.seed = seed;
  return options;
}

/// A network, by default with 6 inputs and 3 classes, with its optimizer and loss.
struct Kit : TrainState {
  explicit Kit(const nn::Options& network, const std::string& optimizer = "sgd",
               const data::DatasetInfo& info = classes_of({6}, 3))
      : Kit(network, update_by(optimizer), info) {}
  Kit(const nn::Options& network, const optim::Options& update, const data::DatasetInfo& info = classes_of({6}, 3))
      : TrainState(network, update, seeded(5), info) {}
  /// @return the loss
  double step(const data::Batch& batch, std::int64_t number, double rate, std::vector<double>* norms = nullptr) {
    nn::Pass pass;
    pass.step = number;
    pass.seed = 9;
    StepOptions options;
    options.rate = rate;
    options.gradient_norms = norms;
    return train::step(*this, batch, pass, options).loss;
  }
  /// The current value of parameter i.
  at::Tensor weight(std::size_t i) const { return model->parameters()[i].value.detach().clone(); }
};

inline data::Batch batch_of(std::int64_t count) {
  at::manual_seed(3);
  return {at::randn({count, 6}), at::arange(count, at::kLong).remainder(3)};
}

}  // namespace grapes::train
