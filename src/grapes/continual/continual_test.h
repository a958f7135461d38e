#pragma once

#include "grapes/continual/learner.h"
#include "grapes/data/open.h"

#include <ATen/ATen.h>

#include <memory>
#include <string>

/// A small network and a small scenario for the tests of this module.
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

/// The message of the error that an action throws.
template <class Action>
inline std::string refusal(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

/// All weights of a network in one tensor.
inline at::Tensor weights_of(const nn::Network& model) {
  std::vector<at::Tensor> all;
  for (const nn::Named& parameter : model.parameters()) all.push_back(parameter.value.detach().flatten());
  return at::cat(all);
}

/// Everything that a run needs, with the lifetime of the run.
struct Kit {
  explicit Kit(const std::string& scenario_name = "permuted", const std::string& method = "none",
               const nn::Options& network_options = small(), std::int64_t tasks = 3, const std::string& loss = "auto")
      : scenario(make_scenario(describe(scenario_name, tasks, small_digits(), 3), small_digits(), "scenario")),
        network(network_options),
        optimizer(by_momentum()),
        training(two_epochs(loss)),
        state(network, optimizer, training, scenario.info) {
    options.scenario = scenario_name;
    options.tasks = tasks;
    options.method = method;
    options.curve_examples = 20;
    options.replay_buffer = 30;
    options.fisher_examples = 10;
    options.ewc_strength = 20;
    options.si_strength = 1;
  }

  static nn::Options small() {
    nn::Options network;
    network.model = nn::parse_model("mlp:12,9");
    return network;
  }

  std::unique_ptr<nn::Network> plain() const {
    nn::Options plain = network;
    plain.rule = credit::plain();
    plain.compatibility = {};
    return nn::make_network(plain, train::signature_of(scenario.info), 3);
  }
  MethodContext context() {
    return {*state.model, [this] { return plain(); }, state.criterion, scenario, options, training.seed};
  }
  ContinualRun run() {
    return {state, scenario, options, optimizer, training, [this] { return plain(); }};
  }

  at::Tensor weights() const { return weights_of(*state.model); }

  Scenario scenario;
  nn::Options network;
  Options options;
  optim::Options optimizer;
  train::Options training;
  train::TrainState state;

 private:
  static optim::Options by_momentum() {
    optim::Options options;
    options.optimizer = "momentum";
    options.learning_rate = 0.02;
    return options;
  }
  static train::Options two_epochs(const std::string& loss) {
    train::Options options;
    options.epochs = 2;
    options.batch_size = 32;
    options.loss = loss;
    options.seed = 3;
    return options;
  }
};

}  // namespace grapes::continual
