// Compares e-prop forward in time with the layer that runs backward through all steps.
#include "grapes/nn/eprop.h"

#include "grapes/nn/nn_test.h"
#include "grapes/nn/surrogate.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace grapes::nn {
namespace {

constexpr std::int64_t steps = 9, batch = 3, in = 7, nodes = 5;

Snu drawn_layer(SnuOptions options, const Rule& credit = {}) {
  options.eprop(true);
  options.rule().detach_reset = true;
  Snu layer(in, nodes, std::move(options), credit);
  layer->to(torch::kDouble);
  std::uint64_t seed = 10;
  const torch::NoGradGuard no_grad;
  layer->weight.copy_(drawn({nodes, in}, ++seed));
  if (layer->recurrent.defined()) layer->recurrent.copy_(drawn({nodes, nodes}, ++seed) * 0.5);
  layer->decay.copy_(torch::linspace(0.5, 0.9, layer->decay.size(0), torch::kDouble));
  layer->threshold.copy_(torch::linspace(0.3, 1.1, nodes, torch::kDouble));
  return layer;
}

void expect_equal(const SnuOptions& options, const Rule& credit = {}) {
  const at::Tensor x = drawn({steps, batch, in}, 1).gt(0.4).to(torch::kDouble), error = drawn({steps, batch, nodes}, 2);
  Snu backwards = drawn_layer(options, credit), forwards = drawn_layer(options, credit);
  const at::Tensor y = backwards->forward(x);
  (y * error).sum().backward();
  Online online(forwards);
  for (std::int64_t t = 0; t < steps; ++t) {
    EXPECT_TRUE(torch::allclose(online.forward(x[t]), y[t], 1e-12, 1e-12)) << t;
    online.learn(error[t]);
  }
  EXPECT_GT(forwards->weight.grad().abs().sum().item<double>(), 0);
  for (const auto& parameter : backwards->named_parameters()) {
    const at::Tensor ours = forwards->named_parameters()[parameter.key()].grad();
    EXPECT_TRUE(torch::allclose(ours, parameter.value().grad(), 1e-11, 1e-12)) << parameter.key() << "\n"
                                                                               << ours << "\n"
                                                                               << parameter.value().grad();
  }
}

TEST(Online, EqualsTheUnrolledLayerOnEveryRule) {
  for (const std::string g : {"identity", "relu", "leaky_relu"})
    for (const std::string output : {"step", "sigmoid"})
      for (const ResetRow& reset : resets())
        for (const bool recurrent : {false, true})
          for (const double synapse : {0.0, 0.6}) {
            SCOPED_TRACE(g + " " + output + " " + reset.name + (recurrent ? " recurrent" : "") +
                         (synapse > 0 ? " synapse" : ""));
            SnuOptions options;
            options.rule().membrane_activation = g;
            options.rule().output = output;
            options.rule().reset = reset.name;
            options.rule().surrogate_width = 0.7;
            options.recurrent(recurrent);
            options.synapse(synapse);
            options.learn_decay(SnuOptions::Decay::per_node);
            expect_equal(options);
          }
}

TEST(Online, EqualsTheUnrolledLayerOnEverySurrogateAndModulation) {
  SnuOptions options;
  options.recurrent(true);
  options.learn_decay(SnuOptions::Decay::per_layer);
  for (const SurrogateRow& surrogate : surrogates()) {
    SCOPED_TRACE(surrogate.name);
    options.rule().surrogate = surrogate.name;
    expect_equal(options);
  }
  for (const std::string modulation : {"none", "grapes", "grapes-local", "uniform", "constant"}) {
    SCOPED_TRACE(modulation);
    Rule credit;
    credit.modulation = modulation;
    credit.constants = {1.7};
    expect_equal(options, credit);
  }
}

TEST(Online, NeedsAsMuchMemoryAfterManyStepsAsAfterOne) {
  SnuOptions options;
  options.recurrent(true);
  Online online(drawn_layer(options));
  const at::Tensor x = drawn({200, batch, in}, 1);
  online.forward(x[0]);
  const std::int64_t first = online.bytes();
  EXPECT_GE(first, batch * nodes * (in + nodes) * 8);
  for (std::int64_t t = 1; t < 200; ++t) online.forward(x[t]);
  EXPECT_EQ(online.bytes(), first);
}

TEST(Online, EverySequenceStartsFromZero) {
  Online online(drawn_layer({}));
  const at::Tensor x = drawn({2, batch, in}, 1);
  const at::Tensor first = online.forward(x[0]).clone();
  online.forward(x[1]);
  online.begin();
  EXPECT_TRUE(torch::equal(online.forward(x[0]), first));
}

TEST(Online, InvalidArgumentsAreErrors) {
  Online online(drawn_layer({}));
  EXPECT_THROW(online.learn(drawn({batch, nodes}, 1)), c10::Error);
  EXPECT_THROW(online.forward(drawn({batch, in + 1}, 1)), c10::Error);
  online.forward(drawn({batch, in}, 1));
  EXPECT_THROW(online.forward(drawn({batch + 1, in}, 1)), c10::Error);
  EXPECT_THROW(online.learn(drawn({batch, nodes + 1}, 1)), c10::Error);
}

}  // namespace
}  // namespace grapes::nn
