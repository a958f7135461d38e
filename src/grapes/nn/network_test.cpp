#include "grapes/nn/network.h"

#include "grapes/base/error.h"
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
                  {"zero", 0, 0}};
  ASSERT_EQ(initializers().size(), std::size(expected));
  for (std::size_t i = 0; i < initializers().size(); ++i) {
    EXPECT_EQ(initializers()[i].name, expected[i].name);
    Random random(3);
    const at::Tensor W = initialize(initializers()[i], {200, 300}, random, at::kDouble);
    EXPECT_LE(W.abs().max().item<double>(), expected[i].bound) << expected[i].name;
    EXPECT_NEAR(W.std().item<double>(), expected[i].deviation, 0.01 * expected[i].deviation) << expected[i].name;
    EXPECT_NEAR(W.mean().item<double>(), 0, 5 * expected[i].deviation / std::sqrt(60000.0)) << expected[i].name;
  }
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
