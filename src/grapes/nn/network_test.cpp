#include "grapes/nn/network.h"

#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/kernels/dropout.h"
#include "grapes/nn/init.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace grapes::nn {
namespace {

template <class Change>
std::string refusal(Change change) {
  try {
    Options options;
    change(options);
    make_network(options, {{1, 8, 8}, 10}, 1);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Network, InvalidModelsAreErrorsWithTheReason) {
  using ::testing::HasSubstr;
  EXPECT_THAT(refusal([](Options& o) { o.model = parse_model("mpl:3"); }), HasSubstr("did you mean 'mlp'"));
  for (const char* model :
       {"mlp", "mlp:", "mlp:3,", "mlp:0", "mlp:-1", "mlp:2.5", "mlp:a", "linear:3", "cnn:", "resnet9:3"})
    EXPECT_THAT(refusal([&](Options& o) { o.model = parse_model(model); }), HasSubstr(model));
  EXPECT_THAT(refusal([](Options& o) { o.model = {"mlp", {3, 0}}; }), HasSubstr("mlp:3,0"));
  EXPECT_THAT(refusal([](Options& o) { o.activation = "rellu"; }), HasSubstr("relu"));
  EXPECT_THAT(refusal([](Options& o) { o.init = "x"; }), HasSubstr("he_uniform"));
  EXPECT_THAT(refusal([](Options& o) { o.dropout = 1; }), HasSubstr("dropout"));
  EXPECT_THAT(refusal([](Options& o) { o.precision = parse_precision("half"); }), HasSubstr("float32"));
  Options options;
  options.rule.route = "bpp";
  EXPECT_THAT(
      [&] {
        make_network(options, {{1, 8, 8}, 10}, 1);
      },
      ::testing::ThrowsMessage<c10::ValueError>(HasSubstr("did you mean 'bp'")));
}

TEST(Model, RoundTripsAsTextAndHasTheRightStages) {
  for (const ModelRow& row : models()) {
    const std::string text = row.name + (row.takes_widths ? ":4,3" : "");
    const Model model = parse_model(text);
    EXPECT_EQ(to_string(model), text);
    const Stages stages = stages_of(model, {{3, 32, 32}, 10});
    EXPECT_TRUE(stages.back().units == 10 || stages.back().what == Stage::Do::read) << text;
  }
  EXPECT_TRUE(parse_model("mlp:4,3") == dense_model({4, 3}));
  EXPECT_TRUE(parse_model("linear") == dense_model({}));
}

TEST(Network, FlattensInputsAndStartsAlikeForOneSeedInBothPrecisions) {
  Options options;
  options.model = parse_model("mlp:12,7");
  const auto a = make_network(options, {{1, 8, 8}, 10}, 5), b = make_network(options, {{1, 8, 8}, 10}, 6);
  options.precision.dtype = at::kDouble;
  const auto c = make_network(options, {{1, 8, 8}, 10}, 5);
  EXPECT_EQ(a->forward(at::zeros({3, 1, 8, 8}), {}).sizes(), (std::vector<std::int64_t>{3, 10}));
  EXPECT_TRUE(at::equal(a->parameters()[1].value, c->parameters()[1].value.to(at::kFloat)));
  EXPECT_FALSE(at::equal(a->parameters()[1].value, b->parameters()[1].value));
}

TEST(Initializers, HaveTheirRangeAndStandardDeviation) {
  const double n_in = 300, n_out = 200;
  const struct {
    const char* name;
    double bound, deviation;
  } expected[] = {{"he_uniform", std::sqrt(6 / n_in), std::sqrt(2 / n_in)},
                  {"he", 1e9, std::sqrt(2 / n_in)},
                  {"he_truncated", 2 * std::sqrt(2 / n_in), 0.8796 * std::sqrt(2 / n_in)},
                  {"xavier", std::sqrt(6 / (n_in + n_out)), std::sqrt(2 / (n_in + n_out))},
                  {"nokland", 1 / std::sqrt(n_in), 1 / std::sqrt(3 * n_in)},
                  {"ciresan", 0.05, 0.05 / std::sqrt(3.0)},
                  {"lognormal", 1e9, std::sqrt(2 / n_in)},
                  {"zero", 0, 0}};
  ASSERT_EQ(initializers().size(), std::size(expected));
  for (std::size_t i = 0; i < initializers().size(); ++i) {
    EXPECT_EQ(initializers()[i].name, expected[i].name);
    Random random(3);
    const at::Tensor W = initialize(initializers()[i], {200, 300}, random, at::kDouble, 0.3);
    EXPECT_LE(W.abs().max().item<double>(), expected[i].bound) << expected[i].name;
    EXPECT_NEAR(W.std().item<double>(), expected[i].deviation, 0.01 * expected[i].deviation) << expected[i].name;
    EXPECT_NEAR(W.mean().item<double>(), 0, 5 * expected[i].deviation / std::sqrt(60000.0)) << expected[i].name;
  }
}

TEST(Initializers, CountTheReceptiveFieldOfKernels) {
  Random random(3);
  const at::Tensor W =
      initialize(find_row(initializers(), "initializer", "xavier"), {40, 20, 5, 5}, random, at::kDouble);
  EXPECT_NEAR(W.abs().max().item<double>(), std::sqrt(6.0 / (25 * (40 + 20))), 1e-4);
}

TEST(Initializers, LognormalHasItsDeviationOfTheLogarithm) {
  for (const double sigma : {0.5, 2.0}) {
    Random random(3);
    const at::Tensor W =
        initialize(find_row(initializers(), "initializer", "lognormal"), {200, 300}, random, at::kDouble, sigma);
    const at::Tensor logarithm = W.abs().log();
    EXPECT_NEAR(logarithm.std().item<double>(), sigma, 0.01 * sigma);
    EXPECT_NEAR(logarithm.mean().item<double>(), std::log(std::sqrt(2.0 / 300)) - sigma * sigma, 0.02 * sigma);
    EXPECT_NEAR((W > 0).to(at::kDouble).mean().item<double>(), 0.5, 0.01);
  }
}

TEST(UnitScales, ChangeTheWeightsButNotTheFunction) {
  for (const char* const model : {"mlp:9,7", "layers:conv4k3,max2,conv5k3,8"}) {
    Options options;
    options.model = parse_model(model);
    options.bias = true;
    options.precision.dtype = at::kDouble;
    const auto plain = make_network(options, {{1, 8, 8}, 10}, 5);
    options.unit_scales = 1.5;
    const auto scaled = make_network(options, {{1, 8, 8}, 10}, 5);
    const at::Tensor x = at::randn({6, 1, 8, 8}, at::kDouble);
    EXPECT_TRUE(at::allclose(plain->forward(x, {}), scaled->forward(x, {}), 1e-10, 1e-12)) << model;
    const at::Tensor a = plain->parameters().front().value, b = scaled->parameters().front().value;
    const at::Tensor c = (b / a).flatten(1);  // one number per unit
    EXPECT_TRUE(at::allclose(c, c.select(1, 0).unsqueeze(1).expand_as(c), 1e-10, 0)) << model;
    EXPECT_GT(c.select(1, 0).log().std().item<double>(), 0.5) << model;
  }
}

TEST(UnitScales, AreRefusedWhereTheyWouldChangeTheFunction) {
  using ::testing::HasSubstr;
  const auto scaled = [](const char* model, const char* activation) {
    return refusal([&](Options& o) {
      o.model = parse_model(model);
      o.activation = activation;
      o.unit_scales = 1;
    });
  };
  EXPECT_THAT(scaled("mlp:9", "tanh"), HasSubstr("activation is tanh"));
  EXPECT_EQ(scaled("mlp:9", "leaky_relu"), "");
  EXPECT_THAT(scaled("resnet9", "relu"), HasSubstr("residual"));
}

TEST(Dropout, DependsOnlyOnSeedStepAndLayer) {
  const auto mask = [](std::uint64_t seed, std::int64_t step, std::size_t layer) {
    return kernels::dropout_mask(kernels::dropout_key(seed, step, layer), 500, 401, 0.1, at::kDouble);
  };
  const at::Tensor first = mask(1, 2, 0);
  EXPECT_TRUE(at::equal(first, mask(1, 2, 0)));
  for (const at::Tensor& other : {mask(2, 2, 0), mask(1, 3, 0), mask(1, 2, 1)}) EXPECT_FALSE(at::equal(first, other));
  EXPECT_TRUE(at::equal(first.eq(0).logical_or(first.eq(1 / (1 - 0.1))), at::ones_like(first, at::kBool)));
  EXPECT_NEAR(first.mean().item<double>(), 1, 5 * std::sqrt(0.1 / 0.9 / 200500));
}

}  // namespace
}  // namespace grapes::nn
