#include "grapes/fixed/network.h"

#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/fixed/checksum.h"
#include "grapes/fixed/factor.h"
#include "grapes/fixed/network_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace grapes::fixed {
namespace {

using Numbers = std::vector<std::int32_t>;
using testing::ElementsAre;
using testing::HasSubstr;

/// 1-2-1, squares, weights in quarters, rate 1/2: every update is a whole number of steps for any random numbers.
Network by_hand(bool grapes) {
  Network network;
  network.formats = {16, 4, 5, 5};
  network.activation = &find_row(activations(), "activation", "relu");
  network.layers = {{1, 2, {4, 2}, {0, 0}, 2}, {2, 1, {4, 8}, {0}, 2}};
  network.biases = true;
  network.classes = false;
  network.learning = Learning{Learning::Loss::squares, grapes, 1, 1};
  return network;
}

std::string refusal(const Network& network) {
  try {
    check(network);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(FixedNetwork, InferenceEqualsValuesByHand) {
  const Network network = by_hand(true);
  State state = begin(network);
  EXPECT_THAT(infer(network, state, {16}), ElementsAre(64));  // 1 -> (1, 1/2) -> 1 + 1
  EXPECT_THAT(state.values[0], ElementsAre(32, 16));
  EXPECT_THAT(infer(network, state, {-16}), ElementsAre(0));
  EXPECT_EQ(greatest({3, 7, 7, -1}), 1u);
}

TEST(FixedNetwork, LearningEqualsValuesByHand) {
  // The output is too great by 1: δ = 2. Errors of 2 and 4 arrive below it. The most responsible unit (1 against 1/2)
  // has the factor 2.
  Network network = by_hand(true);
  State state = begin(network);
  learn(network, state, {16}, Numbers{32});
  EXPECT_THAT(state.errors[1], ElementsAre(64));
  EXPECT_THAT(state.errors[0], ElementsAre(128, 128));
  EXPECT_THAT(state.layers[1].weights, ElementsAre(0, 6));
  EXPECT_THAT(state.layers[0].weights, ElementsAre(-4, -6));
  EXPECT_THAT(state.layers[1].biases, ElementsAre(-4));
  EXPECT_THAT(state.layers[0].biases, ElementsAre(-8, -8));

  network = by_hand(false);
  state = begin(network);
  learn(network, state, {16}, Numbers{32});
  EXPECT_THAT(state.errors[0], ElementsAre(64, 128));
  EXPECT_THAT(state.layers[0].weights, ElementsAre(0, -6));
}

TEST(FixedNetwork, AnInactiveUnitDoesNotLearn) {
  const Network network = by_hand(true);
  State state = begin(network);
  learn(network, state, {-16}, Numbers{32});
  EXPECT_THAT(state.errors[0], ElementsAre(0, 0));
  EXPECT_EQ(state.layers[0].weights, network.layers[0].weights);
  EXPECT_EQ(state.layers[1].weights, network.layers[1].weights);  // h is 0
  EXPECT_THAT(state.layers[1].biases, ElementsAre(4));
}

TEST(FixedNetwork, UpdatesBelowOneStepAreCorrectOnAverage) {
  // One weight, one input of 1/2, a target 1/8 below the output: each update is far below one step.
  Network network;
  network.formats = {16, 12, 10, 13};
  network.activation = &find_row(activations(), "activation", "identity");
  network.layers = {{1, 1, {1000}, {0}, 8}};
  network.classes = false;
  network.learning = Learning{Learning::Loss::squares, false, 0, 10};
  check(network);
  double moved = 0;
  constexpr int rounds = 20000;
  State state = begin(network);
  for (int round = 0; round < rounds; ++round) {
    state.layers = network.layers;
    learn(network, state, {2048}, Numbers{2000 - 128});
    moved += state.layers[0].weights[0] - 1000;
  }
  // -rate · δ · h = -2^-10 · 1/4 · 1/2, in steps of 2^-8: -1/32 each. The standard deviation of the mean is 0.0012.
  EXPECT_NEAR(moved / rounds, -1.0 / 32, 0.005);
}

TEST(FixedNetwork, LearnsToTellClassesApart) {
  for (const int bits : {8, 16}) {
    const Network network = drawn({16, 12, 4}, bits, "relu", 5);
    State state = begin(network);
    std::mt19937 random(6);
    int right = 0;
    constexpr int samples = 3000, last = 500;
    for (int s = 0; s < samples; ++s) {
      const std::size_t label = random() % 4;
      Numbers x(16);
      for (std::size_t i = 0; i < 16; ++i)
        x[i] = static_cast<int>(random() % 8192) - 4096 + (i % 4 == label ? 4096 : 0);
      const bool hit = greatest(infer(network, state, x)) == label;
      if (s >= samples - last) right += hit;
      learn(network, state, x, label);
    }
    EXPECT_GT(right, last * 9 / 10) << bits << " bits";
    for (const Layer& layer : state.layers)
      for (const std::int32_t w : layer.weights) ASSERT_EQ(w, saturate(w, bits));
  }
}

TEST(FixedNetwork, TheChecksumDependsOnEveryPart) {
  const Network network = drawn({6, 5, 3}, 16, "relu", 7);
  const auto sum = [](const Network& of) {
    State state = begin(of);
    return checksum(of, state, 40);
  };
  const std::uint32_t first = sum(network);
  EXPECT_EQ(sum(network), first);
  Network other = network;
  other.layers[1].weights[2] += 1;
  EXPECT_NE(sum(other), first);
  other = network;
  other.learning->grapes = false;
  EXPECT_NE(sum(other), first);
  other.learning.reset();
  EXPECT_NE(sum(other), first);
}

TEST(FixedNetwork, SumsFitInto32BitsWhereTheBoundSaysSo) {
  std::mt19937 random(8);
  int narrow = 0;
  for (int round = 0; round < 200; ++round) {
    const std::size_t inputs = 1 + random() % 700, nodes = 1 + random() % (round % 4 == 0 ? 700 : 4);
    Network network;
    network.formats.weight_bits = round % 2 == 0 ? 8 : 16;
    network.biases = round % 3 == 0;
    network.activation = &activations().front();
    Layer layer{inputs, nodes, Numbers(inputs * nodes), Numbers(nodes), static_cast<int>(random() % 15)};
    const int width = 1 + static_cast<int>(random() % static_cast<unsigned>(network.formats.weight_bits - 1));
    for (std::int32_t& w : layer.weights) w = static_cast<int>(random() % (1u << width)) - (1 << width >> 1);
    for (std::int32_t& b : layer.biases) b = static_cast<int>(random() % 65536) - 32768;
    network.layers = {layer};
    if (round % 5 == 0) network.learning = Learning{};
    if (accumulator_bits(network) == 64) continue;
    ++narrow;
    // The worst possible inputs, in the worst order: the weight's sign times 2^15.
    const int shift = layer.fraction + network.formats.input - network.formats.activation;
    for (std::size_t n = 0; n < nodes; ++n)
      for (const int sign : {-1, 1}) {
        std::int64_t sum = network.biases ? std::int64_t{layer.biases[n]} << network.formats.input : 0;
        const std::int64_t extreme = network.learning ? 1 << (network.formats.weight_bits - 1) : 0;
        for (std::size_t i = 0; i < inputs; ++i)
          sum += sign * 32768 * (network.learning ? extreme : std::abs(std::int64_t{layer.weights[n * inputs + i]}));
        ASSERT_EQ(sum, static_cast<std::int32_t>(sum));
        sum += shift > 0 ? std::int64_t{1} << (shift - 1) : 0;
        ASSERT_EQ(sum, static_cast<std::int32_t>(sum));
      }
  }
  EXPECT_GT(narrow, 20);
}

TEST(Quantize, TakesTheGreatestFractionThatLeavesRoom) {
  Layer layer = quantize({0.5, -0.25, 0.1, 0}, {}, 2, 8, 0, 0);
  EXPECT_EQ(layer.fraction, 7);  // 0.5 · 2^8 is 128, one too many
  EXPECT_THAT(layer.weights, ElementsAre(64, -32, 13, 0));
  EXPECT_THAT(layer.biases, ElementsAre(0, 0));
  EXPECT_EQ(quantize({0.5, -0.25, 0.1, 0}, {}, 2, 8, 1, 0).fraction, 6);
  EXPECT_EQ(quantize({0.5, -0.25, 0.1, 0}, {}, 2, 16, 0, 0).fraction, 15);
  layer = quantize({0.5}, {-40}, 1, 16, 0, 0);  // the bias needs space, too
  EXPECT_EQ(layer.fraction, 9);
  EXPECT_THAT(layer.biases, ElementsAre(-20480));
  EXPECT_EQ(quantize({0, 0}, {}, 1, 8, 1, 0).fraction, 15);
  EXPECT_THROW(quantize({NAN}, {}, 1, 8, 0, 3), UsageError);
  try {
    quantize({200}, {}, 1, 8, 0, 3);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("layer 3: weights up to 200"));
  }
}

TEST(FixedNetwork, InvalidSettingsAreErrors) {
  const Network good = by_hand(true);
  EXPECT_EQ(refusal(good), "");
  Network bad = good;
  bad.formats.weight_bits = 12;
  EXPECT_THAT(refusal(bad), HasSubstr("weight_bits must be 8 or 16; got 12"));
  bad = good;
  bad.formats.activation = 15;
  EXPECT_THAT(refusal(bad), HasSubstr("activation_fraction must be 5 ... 14; got 15"));
  bad = good;
  bad.learning->rate_shift = 40;
  EXPECT_THAT(refusal(bad), HasSubstr("rate_shift must be 0 ... 23 with the fractions of layer 0; got 40"));
  bad = good;
  bad.learning->factor_bits = 9;
  EXPECT_THAT(refusal(bad), HasSubstr("factor_bits must be 0 ... 8; got 9"));
  bad = good;
  bad.layers[1].inputs = 3;
  EXPECT_THAT(refusal(bad), HasSubstr("layer 1 has 3 inputs, but the layer before has 2 outputs"));
  bad = good;
  bad.learning->loss = Learning::Loss::cross_entropy;
  EXPECT_THAT(refusal(bad), HasSubstr("cross-entropy needs classes"));
}

}  // namespace
}  // namespace grapes::fixed
