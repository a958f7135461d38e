#pragma once

#include "grapes/continual/learner.h"
#include "grapes/train/trainer.h"

#include <ATen/ATen.h>

#include <memory>
#include <string>

/// A small network on a small scenario, for the tests of this room.
namespace grapes::continual {

inline const data::Splits& small_digits() {
  static const data::Splits splits = [] {
    data::Options options;
    options.train_limit = 240;
    options.test_limit = 60;
    return data::open(options, 1);
  }();
  return splits;
}

/// Everything a run needs, alive as long as it.
struct Kit {
  explicit Kit(const std::string& scenario_name = "permuted", const std::string& method = "none",
               const nn::Options& network_options = small(), std::int64_t tasks = 3, const std::string& loss = "auto")
      : scenario(make_scenario(describe(scenario_name, tasks, small_digits(), 3), small_digits(), "scenario")),
        network(network_options),
        criterion(loss, "auto", nn::TargetKind::classes),
        model(fresh(network)) {
    options.scenario = scenario_name;
    options.tasks = tasks;
    options.method = method;
    options.curve_examples = 20;
    options.replay_buffer = 30;
    options.fisher_examples = 10;
    options.ewc_strength = 20;
    options.si_strength = 1;
    optimizer.optimizer = "momentum";
    optimizer.learning_rate = 0.02;
    training.epochs = 2;
    training.batch = 32;
    training.seed = 3;
  }

  static nn::Options small() {
    nn::Options network;
    network.model = "mlp:12,9";
    return network;
  }

  std::unique_ptr<nn::Network> fresh(const nn::Options& of) const {
    return nn::make_network(of, train::signature_of(scenario.info), 3);
  }

  Setting setting() {
    return {*model,
            [this] {
              nn::Options plain = network;
              plain.route = {};
              plain.modulation = {};
              plain.dropout = 0;
              return fresh(plain);
            },
            criterion,
            scenario,
            options,
            3};
  }
  Course course() { return {setting(), optimizer, training}; }

  /// All weights in one tensor.
  at::Tensor weights() const {
    std::vector<at::Tensor> all;
    for (const nn::Named& parameter : model->parameters()) all.push_back(parameter.value.detach().flatten());
    return at::cat(all);
  }

  Scenario scenario;
  nn::Options network;
  nn::Criterion criterion;
  Options options;
  optim::Options optimizer;
  train::Options training;
  std::unique_ptr<nn::Network> model;
};

}  // namespace grapes::continual
