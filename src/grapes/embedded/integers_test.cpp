#include "grapes/embedded/integers.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::embedded {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const nn::Criterion cross_entropy("auto", "auto", nn::TargetKind::classes);

nn::Options small(const std::string& model = "mlp:3") {
  nn::Options options;
  options.model = nn::parse_model(model);
  return options;
}

std::string refusal(const nn::Options& trained, IntegerOptions options, const nn::Criterion& criterion = cross_entropy,
                    const nn::Signature& signature = {{4}, 2}) {
  const auto model = nn::make_network(trained, signature, 1);
  try {
    integers(*model, trained, criterion, data::ProblemKind::classification, options);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Integers, AreTheWeightsRoundedToTheNearest) {
  nn::Options trained = small();
  trained.bias = true;
  const auto model = nn::make_network(trained, {{4}, 2}, 1);
  const at::NoGradGuard no_grad;
  for (const nn::Named& parameter : model->parameters()) {
    const at::Tensor flat = parameter.value.view(-1);
    for (std::int64_t i = 0; i < flat.size(0); ++i) flat[i] = 0.0625 * static_cast<double>(i - 1);
  }
  IntegerOptions options;
  options.formats.weight_bits = 8;
  const fixed::Network network = integers(*model, trained, cross_entropy, data::ProblemKind::classification, options);
  ASSERT_EQ(network.layers.size(), 2u);
  EXPECT_EQ(network.layers[0].fraction, 7);  // 10/16 · 2^7 = 80
  EXPECT_THAT(network.layers[0].weights, ElementsAre(-8, 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80));
  EXPECT_THAT(network.layers[0].biases, ElementsAre(-8, 0, 8));
  EXPECT_EQ(network.layers[1].fraction, 8);  // 4/16 · 2^8 = 64
  EXPECT_THAT(network.layers[1].weights, ElementsAre(-16, 0, 16, 32, 48, 64));
  EXPECT_TRUE(network.biases && network.classes && !network.learning);
  options.learn = true;  // one bit of headroom
  EXPECT_EQ(integers(*model, trained, cross_entropy, data::ProblemKind::classification, options).layers[0].fraction, 6);
}

TEST(Integers, ExamplesAreRoundedAndSaturated) {
  const auto rows = integers(at::tensor({0.5, -0.125, 0.1249, 40.0, -40.0, 1.0}).view({2, 3}), 2);
  EXPECT_THAT(rows, ElementsAre(ElementsAre(2, 0, 0), ElementsAre(160, -160, 4)));
  EXPECT_THAT(integers(at::tensor({9.0, -9.0}).view({1, 2}), 12)[0], ElementsAre(32767, -32768));
}

TEST(Integers, TheRuleIsThatOfTrainingUnlessAnotherIsGiven) {
  const auto model = nn::make_network(small(), {{4}, 2}, 1);
  IntegerOptions options;
  options.learn = true;
  nn::Options trained = small();
  const auto grapes = [&] {
    return integers(*model, trained, cross_entropy, data::ProblemKind::classification, options).learning->grapes;
  };
  EXPECT_FALSE(grapes());
  trained.rule.modulation = "grapes";
  EXPECT_TRUE(grapes());
  options.rule = "bp";
  EXPECT_FALSE(grapes());
}

TEST(Integers, UnsupportedSettingsAreErrors) {
  IntegerOptions infer, learn;
  learn.learn = true;
  EXPECT_EQ(refusal(small(), infer), "");
  EXPECT_THAT(refusal(small("lenet5"), infer, cross_entropy, {{1, 28, 28}, 2}),
              HasSubstr("model 'lenet5' is not supported"));
  EXPECT_THAT(refusal(small("snn:3"), infer), HasSubstr("model 'snn:3' is not supported in integers"));
  nn::Options trained = small();
  trained.activation = "scaled_tanh";
  EXPECT_EQ(refusal(trained, infer),
            "activation 'scaled_tanh' is not supported in integers; available: relu, identity, tanh, sigmoid");
  trained = small();
  trained.prune = 0.5;
  EXPECT_EQ(refusal(trained, infer), "");
  EXPECT_THAT(refusal(trained, learn), HasSubstr("removed weights (fan-in, prune) would learn again"));
  trained = small();
  trained.rule.modulation = "uniform";
  EXPECT_EQ(refusal(trained, infer), "");
  EXPECT_THAT(refusal(trained, learn), HasSubstr("modulation 'uniform'; in integers the rule must be bp or grapes"));
  trained.rule.modulation = "grapes";
  trained.rule.gain = 3;
  EXPECT_THAT(refusal(trained, learn), HasSubstr("a gain, clip or responsibility that integers do not support"));
  trained = small();
  trained.rule.route = "dfa";
  EXPECT_THAT(refusal(trained, learn), HasSubstr("route 'dfa'"));
  learn.rule = "bp";
  EXPECT_EQ(refusal(trained, learn), "");
  trained = small();
  trained.output = "sigmoid";
  EXPECT_THAT(refusal(trained, learn, nn::Criterion("mse", "sigmoid", nn::TargetKind::classes)),
              HasSubstr("loss 'mse' with output 'sigmoid' is not supported"));
  // If only the order of the logits matters, outputs that keep it are supported; for regression they are not.
  EXPECT_EQ(refusal(trained, infer), "");
  trained.output = "relu";
  EXPECT_THAT(refusal(trained, infer),
              HasSubstr("output 'relu' is not supported in integers; available: auto, identity"));
  trained.output = "sigmoid";
  const auto model = nn::make_network(trained, {{4}, 2}, 1);
  EXPECT_THROW(integers(*model, trained, nn::Criterion("mse", "sigmoid", nn::TargetKind::values),
                        data::ProblemKind::regression, infer),
               UsageError);
  learn.rule = "fa";
  EXPECT_THAT(refusal(small(), learn), HasSubstr("rule must be auto, bp or grapes; got 'fa'"));
}

}  // namespace
}  // namespace grapes::embedded
