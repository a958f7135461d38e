#pragma once

#include "grapes/train/step.h"

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

// What tests of single training steps share.
namespace grapes::train {

/// A network of 6 numbers to 3 classes, and what trains it.
struct Kit {
  explicit Kit(const nn::Options& network, const std::string& rule = "sgd", nn::Signature signature = {{6}, 3})
      : model(nn::make_network(network, signature, 5)), schedule(optim::make_schedule("constant", 0, 1)) {
    optim::Options options;
    options.optimizer = rule;
    optimizer = optim::make_optimizer(options, nn::learning(*model));
  }
  /// @return the loss
  double step(const data::Batch& batch, std::int64_t number, double rate, std::vector<double>* norms = nullptr) {
    Subject subject{*model, criterion, *optimizer, *schedule, rate};
    nn::Pass pass;
    pass.step = number;
    pass.seed = 9;
    StepUse use;
    use.rate = rate;
    use.gradient_norms = norms;
    return train::step(subject, batch, pass, use).loss;
  }
  /// Parameter i as it is now.
  at::Tensor weight(std::size_t i) const { return model->parameters()[i].value.detach().clone(); }

  std::unique_ptr<nn::Network> model;
  nn::Criterion criterion{"auto", "auto", nn::TargetKind::classes};
  std::unique_ptr<optim::Optimizer> optimizer;
  std::unique_ptr<optim::Schedule> schedule;
};

inline data::Batch batch_of(std::int64_t count) {
  at::manual_seed(3);
  return {at::randn({count, 6}), at::arange(count, at::kLong).remainder(3)};
}

}  // namespace grapes::train
