#include "grapes/nn/fan_in.h"

#include "grapes/base/error.h"
#include "grapes/nn/init.h"
#include "grapes/nn/network.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace grapes::nn {
namespace {

at::Tensor counts_of(const std::string& text, std::int64_t units, std::int64_t inputs, std::uint64_t seed = 1) {
  Random random(seed);
  const at::Tensor mask = weight_mask(parse_fan_in(text), units, inputs, random);
  EXPECT_TRUE(((mask == 0) | (mask == 1)).all().item<bool>());
  return mask.sum(1);
}

TEST(FanIn, EveryUnitHasItsNumberOfInputs) {
  EXPECT_TRUE(at::equal(counts_of("8", 50, 20), at::full({50}, 8, at::kDouble)));
  EXPECT_TRUE(at::equal(counts_of("20", 50, 20), at::full({50}, 20, at::kDouble)));
  const at::Tensor hubs = counts_of("hubs:8,64,0.1", 40, 100);
  EXPECT_EQ((hubs == 64).sum().item<std::int64_t>(), 4);
  EXPECT_EQ((hubs == 8).sum().item<std::int64_t>(), 36);
  EXPECT_FALSE(at::equal(hubs, counts_of("hubs:8,64,0.1", 40, 100, 2))) << "other units are hubs";

  const std::int64_t units = 4000;
  const at::Tensor drawn = counts_of("random:8", units, 100);
  // Binomial, with a variance of 8 (1 - 0.08).
  EXPECT_NEAR(drawn.mean().item<double>(), 8, 5 * std::sqrt(7.36 / units));
  EXPECT_NEAR(drawn.var().item<double>(), 7.36, 0.9);
  EXPECT_EQ(counts_of("random:1", units, 100).min().item<double>(), 1) << "no unit is without inputs";
}

TEST(FanIn, InputsAreDrawnAlike) {
  Random random(3);
  const at::Tensor uses = weight_mask(parse_fan_in("5"), 4000, 50, random).sum(0);
  EXPECT_NEAR(uses.mean().item<double>(), 400, 1e-9);
  EXPECT_LT((uses - 400).abs().max().item<double>(), 5 * 19);  // deviation √(4000 · 0.1 · 0.9)
}

TEST(FanIn, RoundTripsAsTextAndRefusesOtherText) {
  for (const char* text : {"all", "8", "random:8", "hubs:8,64,0.1"}) EXPECT_EQ(to_string(parse_fan_in(text)), text);
  EXPECT_EQ(to_string(parse_fan_in("hubs: 8, 64, 0.10")), "hubs:8,64,0.1");
  for (const char* text : {"", "0", "-1", "2.5", "x", "random", "random:", "random:0", "random:8,9", "hubs:8",
                           "hubs:8,64", "hubs:8,64,0", "hubs:8,64,1", "hub:8,64,0.1", "8:8"})
    EXPECT_THROW(parse_fan_in(text), UsageError) << text;
}

TEST(FanIn, InitialWeightsAreThoseOfALayerWithTheUnitsOwnNumberOfInputs) {
  Random draws(4);
  const at::Tensor mask = weight_mask(parse_fan_in("hubs:3,12,0.3"), 10, 25, draws);
  for (const char* name : {"he_uniform", "he", "he_truncated", "nokland", "lognormal"})
    for (const Initializer& row : initializers()) {
      if (row.name != name) continue;
      Random one(7), other(7);
      const at::Tensor dense = initialize(row, {10, 25}, one, at::kDouble);
      const at::Tensor sparse = initialize(row, {10, 25}, other, at::kDouble, 1, mask);
      const at::Tensor expected = dense * (25 / mask.sum(1, true)).sqrt() * mask;
      EXPECT_TRUE(at::allclose(sparse, expected, 1e-14, 1e-15)) << name;
    }
}

std::string refusal_of_fan_in(const std::string& model, const std::string& fan_in,
                              const std::string& precision = "float32") {
  Options options;
  options.model = parse_model(model);
  options.fan_in = parse_fan_in(fan_in);
  options.precision = parse_precision(precision);
  try {
    make_network(options, {{1, 8, 8}, 10}, 1);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(FanIn, IsForHiddenDenseLayersThatHaveEnoughInputs) {
  using ::testing::HasSubstr;
  EXPECT_THAT(refusal_of_fan_in("mlp:12,20", "16"), HasSubstr("layers.1 has only 12 inputs"));
  EXPECT_THAT(refusal_of_fan_in("mlp:12,20", "hubs:2,13,0.5"), HasSubstr("layers.1 has only 12 inputs"));
  EXPECT_THAT(refusal_of_fan_in("mlp:12", "hubs:2,13,0.01"), HasSubstr("none would be a hub"));
  EXPECT_THAT(refusal_of_fan_in("linear", "2"), HasSubstr("needs a hidden dense layer"));
  EXPECT_THAT(refusal_of_fan_in("cnn:4", "2"), HasSubstr("needs a hidden dense layer"));
  EXPECT_THAT(refusal_of_fan_in("snn:12", "2"), HasSubstr("not supported in spiking networks"));
  EXPECT_THAT(refusal_of_fan_in("mlp:12", "2", "bf16"), HasSubstr("bf16"));
  EXPECT_EQ(refusal_of_fan_in("mlp:12,20", "12"), "");
  EXPECT_EQ(refusal_of_fan_in("layers:conv4,max2,20", "12"), "");
}

TEST(FanIn, MasksDependOnTheSeedAndTheLayerOnly) {
  const auto masks = [](std::uint64_t seed, const std::string& modulation, const std::string& init) {
    Options options;
    options.model = parse_model("mlp:64,64");
    options.fan_in = parse_fan_in("5");
    options.rule.modulation = modulation;
    options.init = init;
    std::vector<at::Tensor> all;
    for (const Named& one : make_network(options, {{64}, 10}, seed)->buffers()) all.push_back(one.value);
    return all;
  };
  const auto first = masks(1, "none", "he_uniform");
  ASSERT_EQ(first.size(), 2U) << "the output layer is dense";
  EXPECT_FALSE(at::equal(first[0], first[1]));
  EXPECT_FALSE(at::equal(first[0], masks(2, "none", "he_uniform")[0]));
  for (const char* modulation : {"grapes", "balanced", "norm-matched"})
    EXPECT_TRUE(at::equal(first[1], masks(1, modulation, "lognormal")[1])) << modulation;
}

}  // namespace
}  // namespace grapes::nn
