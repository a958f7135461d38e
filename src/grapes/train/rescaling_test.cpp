// Function-preserving rescaling: in a network of homogeneous layers, the incoming weights and the bias of a unit may be
// multiplied by c if its outgoing weights are divided by c. These tests train a network and a rescaled copy of it.
#include "grapes/train/kit_test.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace grapes::train {
namespace {

const std::vector<std::string> chains = {"linear",
                                         "mlp:9",
                                         "mlp:7,8,6",
                                         "layers:conv4k3,12",
                                         "layers:conv4k3,max2,conv5k3s2,6-linear,7",
                                         "layers:conv4k2s2p1,avg2,conv6,conv3-linear,max",
                                         "layers:conv5k3p0,avg,8"};

struct Case {
  std::string model, optimizer = "sgd", modulation = "none", activation = "relu";
  bool bias = true;
  double rate = 0.05;
};

data::DatasetInfo info_for(const std::string& model) {
  return classes_of(model.starts_with("layers") ? std::vector<std::int64_t>{2, 8, 8} : std::vector<std::int64_t>{6}, 3);
}

TrainState made(const Case& one) {
  nn::Options network;
  network.model = nn::parse_model(one.model);
  network.precision.dtype = at::kDouble;
  network.activation = one.activation;
  network.bias = one.bias;
  network.rule.modulation = one.modulation;
  return {network, update_by(one.optimizer, one.rate), seeded(5), info_for(one.model)};
}

/// W, and b if there is one, by layer.
std::vector<std::pair<at::Tensor, at::Tensor>> layers_of(const nn::Network& model) {
  std::vector<std::pair<at::Tensor, at::Tensor>> all;
  for (const nn::Named& one : model.parameters())
    if (one.name.ends_with("weight"))
      all.emplace_back(one.value, at::Tensor());
    else
      all.back().second = one.value;
  return all;
}

/// Multiplies by `c` along an axis. @param c  [unit]; a unit may have several columns, one for each position
void multiply(at::Tensor W, at::Tensor c, std::int64_t axis) {
  c = c.repeat_interleave(W.size(axis) / c.size(0));
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(W.dim()), 1);
  sizes[static_cast<std::size_t>(axis)] = c.size(0);
  W.mul_(c.view(sizes));
}

/// Multiplies the incoming weights and biases of every hidden unit by c, log c ~ N(0, sigma), and divides its outgoing
/// weights by c.
void rescale(const nn::Network& model, double sigma) {
  const at::NoGradGuard no_grad;
  const auto layers = layers_of(model);
  for (std::size_t l = 0; l + 1 < layers.size(); ++l) {
    const at::Tensor c = (at::randn({layers[l].first.size(0)}, at::kDouble) * sigma).exp();
    multiply(layers[l].first, c, 0);
    if (layers[l].second.defined()) multiply(layers[l].second, c, 0);
    multiply(layers[l + 1].first, 1 / c, 1);
  }
}

/// Trains a network and a rescaled copy. @return largest difference of their logits, over all steps, relative to the
/// largest logit above 1
double apart(const Case& one, double sigma, int steps = 12) {
  TrainState network = made(one), copy = made(one);
  at::manual_seed(7);
  {
    const at::NoGradGuard no_grad;  // biases of 0 would hide mistakes
    const auto mine = layers_of(*network.model), theirs = layers_of(*copy.model);
    for (std::size_t l = 0; l < mine.size(); ++l)
      if (mine[l].second.defined()) at::Tensor(theirs[l].second).copy_(at::Tensor(mine[l].second).normal_(0, 0.3));
  }
  rescale(*copy.model, sigma);
  std::vector<std::int64_t> shape = info_for(one.model).input_shape;
  shape.insert(shape.begin(), 16);
  const at::Tensor probe = at::randn(shape, at::kDouble);
  double largest = 0, moved = 0;
  at::Tensor first;
  for (int i = 0; i < steps; ++i) {
    const data::Batch batch{at::randn(shape, at::kDouble), at::arange(16, at::kLong).remainder(3)};
    nn::Pass pass;
    pass.seed = 9;
    pass.step = i;
    StepOptions options;
    options.rate = one.rate;
    const at::Tensor a = step(network, batch, pass, options).logits, b = step(copy, batch, pass, options).logits;
    largest = std::max(largest, ((a - b).abs().max() / a.abs().max().clamp_min(1)).item<double>());
    const at::Tensor now = network.model->forward(probe, {}).detach();
    if (!first.defined()) first = now;
    moved = std::max(moved, (now - first).abs().max().item<double>());
  }
  if (steps > 1) {
    EXPECT_GT(moved, 1e-5) << one.model << ": the network does not learn";
  }
  EXPECT_TRUE(std::isfinite(largest)) << one.model;
  return largest;
}

TEST(Rescaling, KeepsTheFunctionButNotTheStepsOfGradientDescent) {
  for (const std::string& model : chains) {
    EXPECT_LE(apart({model}, 1, 1), 1e-12) << model << ": the rescaled copy is another function";
    if (model != "linear") {
      EXPECT_GT(apart({model}, 1), 1e-2) << model;
    }
  }
}

TEST(Rescaling, PathSgdTakesTheSameStepsInARescaledNetwork) {
  for (const std::string& model : chains)
    for (const char* activation : {"relu", "leaky_relu", "identity"})
      for (const bool bias : {false, true})
        EXPECT_LE(apart({model, "path-sgd", "none", activation, bias}, 1), 1e-9)
            << model << ", " << activation << (bias ? ", with biases" : "");
}

TEST(Rescaling, BalancedTakesTheSameStepsInARescaledNetwork) {
  for (const std::string& model : chains)
    for (const char* activation : {"relu", "leaky_relu", "identity"})
      for (const char* optimizer : {"sgd", "momentum", "nag"})
        for (const bool bias : {false, true})
          EXPECT_LE(apart({model, optimizer, "balanced", activation, bias, 0.002}, 1), 1e-9)
              << model << ", " << activation << ", " << optimizer << (bias ? ", with biases" : "");
  EXPECT_LE(apart({"mlp:8,8,8,8,8,8,8,8", "sgd", "balanced", "relu", true, 0.01}, 2), 1e-9);
}

TEST(Rescaling, ItsControlsDoNot) {
  for (const std::string& model : chains)
    if (model != "linear") {
      EXPECT_GT(apart({model, "sgd", "balanced-shuffled", "relu", true, 0.01}, 1), 1e-4) << model;
      EXPECT_GT(apart({model, "sgd", "grapes", "relu", true, 0.01}, 1), 1e-4) << model;
    }
}

TEST(Rescaling, TheRatioOfSumsIsEnoughForOneHiddenLayerOnly) {
  EXPECT_LE(apart({"mlp:9", "sgd", "balanced-once"}, 1), 1e-9);
  EXPECT_LE(apart({"layers:conv4k3,max2", "sgd", "balanced-once", "relu", true, 0.01}, 1), 1e-9);
  EXPECT_GT(apart({"mlp:7,8", "sgd", "balanced-once"}, 1), 1e-3);
}

}  // namespace
}  // namespace grapes::train
