#include "grapes/embedded/rehearsal.h"

#include "grapes/base/random.h"
#include "grapes/embedded/integers.h"
#include "grapes/train/evaluate.h"
#include "grapes/train/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace grapes::embedded {
namespace {

/// Three classes around three points.
data::DatasetPtr clouds(std::int64_t n, std::uint64_t seed) {
  Random random(seed);
  at::Tensor inputs = at::empty({n, 4}), targets = at::empty({n}, at::kLong);
  for (std::int64_t k = 0; k < n; ++k) {
    targets[k] = k % 3;
    for (std::int64_t i = 0; i < 4; ++i) inputs[k][i] = 0.3 * random.normal() + (i == k % 3 ? 1 : 0);
  }
  data::DatasetInfo info;
  info.input_shape = {4};
  info.outputs = 3;
  info.classes = {"a", "b", "c"};
  return data::memory(inputs, targets, info);
}

/// An untrained network with data of its own.
struct Untrained {
  data::Splits splits;
  experiment::Loaded loaded;

  Untrained() : loaded{{}, {}, {}, nullptr, nn::Criterion("auto", "auto", nn::TargetKind::classes)} {
    splits.train = clouds(300, 1);
    splits.test = clouds(150, 2);
    loaded.config.network.model = nn::parse_model("mlp:8");
    loaded.info = splits.train->info();
    loaded.model = nn::make_network(loaded.config.network, {{4}, 3}, 3);
  }
  fixed::Network integers(int bits) const {
    IntegerOptions options;
    options.learn = true;
    options.rule = "grapes";
    options.rate_shift = 5;
    options.formats.weight_bits = bits;
    return embedded::integers(*loaded.model, loaded.config.network, loaded.criterion, loaded.info.problem, options);
  }
};

TEST(Rehearsal, LearnsFromOneDataSetAndIsScoredOnAnother) {
  const Untrained one;
  for (const int bits : {8, 16}) {
    const fixed::Network network = one.integers(bits);
    const Rehearsal result = rehearse(one.loaded, network, one.splits, *one.splits.test, 4);
    EXPECT_EQ(result.real, train::evaluate(*one.loaded.model, *one.splits.test, one.loaded.criterion).score);
    EXPECT_NEAR(result.before.value, result.real, 0.05);  // 150 examples, some near the border
    EXPECT_EQ(result.before.saturated, 0);
    ASSERT_EQ(result.after.size(), 4u);
    EXPECT_GT(result.after.back(), 0.9) << bits << " bits";
  }
}

TEST(Rehearsal, UsesTheOrderOfTheFileIfDataAreNotShuffled) {
  Untrained one;
  const fixed::Network network = one.integers(16);
  one.splits.shuffle = false;
  const Rehearsal result = rehearse(one.loaded, network, one.splits, *one.splits.test, 1);
  fixed::State state = fixed::begin(network);
  learn(network, state, *one.splits.train, at::arange(300, at::kLong), one.loaded.criterion);
  EXPECT_EQ(result.after, std::vector<double>{score(network, state, *one.splits.test, one.loaded.criterion).value});
  EXPECT_TRUE(rehearse(one.loaded, network, one.splits, *one.splits.test, 0).after.empty());
}

TEST(Rehearsal, CountsSaturatedLogits) {
  const Untrained one;
  fixed::Network network = one.integers(16);
  fixed::State state = fixed::begin(network);
  for (fixed::Layer& layer : state.layers) layer.weights.assign(layer.weights.size(), 32767);
  EXPECT_GT(score(network, state, *one.splits.test, one.loaded.criterion).saturated, 0);
}

}  // namespace
}  // namespace grapes::embedded
