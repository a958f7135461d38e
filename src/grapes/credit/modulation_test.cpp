#include "grapes/credit/modulation.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace grapes::credit {
namespace {

/// One hidden layer whose rows sum to 1, 2 and 4. Its factors without a clip are 0.5, 1 and 2.
Weights one_layer() {
  Weights weights;
  weights.layers = {at::tensor({1.0, 2.0, 4.0}, at::kDouble).reshape({3, 1}), at::ones({2, 3}, at::kDouble)};
  return weights;
}

Rule unclipped(const std::string& name) {
  Rule rule;
  rule.modulation = name;
  rule.clip.kind = Clip::Kind::none;
  return resolved(rule);
}

Factors first_layer(const Weights& weights, const Rule& rule, std::uint64_t seed = 1) {
  Random random(seed);
  return factors(weights, rule, random).at(0);
}

std::vector<double> values(const at::Tensor& m) { return {m.data_ptr<double>(), m.data_ptr<double>() + m.numel()}; }

TEST(Modulation, FactorsEqualValuesByHand) {
  const Weights weights = one_layer();
  EXPECT_FALSE(first_layer(weights, unclipped("none")).error.defined());
  EXPECT_EQ(values(first_layer(weights, unclipped("grapes")).error), (std::vector<double>{0.5, 1, 2}));
  for (const double m : values(first_layer(weights, unclipped("uniform")).error)) EXPECT_DOUBLE_EQ(m, 3.5 / 3);

  const Rule clipped = resolved({.modulation = "grapes"});
  EXPECT_EQ(values(first_layer(weights, clipped).error), (std::vector<double>{1, 1, 2}));
}

TEST(Modulation, TheMeanResponsibilityDoesNotDependOnTheNumberOfWeights) {
  Weights weights;  // sums of 4, 3 and 2; means of 1, 1.5 and 2
  weights.layers = {
      at::tensor({1.0, -1.0, 1.0, 1.0, 1.5, 0.0, 0.0, 1.5, 0.0, 0.0, -2.0, 0.0}, at::kDouble).view({3, 4}),
      at::ones({2, 3}, at::kDouble)};
  Rule rule = unclipped("grapes");
  EXPECT_EQ(values(first_layer(weights, rule).error), (std::vector<double>{2, 1.5, 1}));
  rule.reduction = Reduction::mean;
  EXPECT_EQ(values(first_layer(weights, rule).error), (std::vector<double>{1, 1.5, 2}));
}

TEST(Modulation, LocalScalesTheUpdateAndNotTheError) {
  const Factors local = first_layer(one_layer(), unclipped("grapes-local"));
  EXPECT_FALSE(local.error.defined());
  EXPECT_EQ(values(local.rows), (std::vector<double>{0.5, 1, 2}));
}

TEST(Modulation, ShuffledPermutesTheFactorsByItsSeed) {
  const Weights weights = one_layer();
  bool moved = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<double> m = values(first_layer(weights, unclipped("shuffled"), seed).error);
    EXPECT_EQ(m, values(first_layer(weights, unclipped("shuffled"), seed).error));
    moved |= m != std::vector<double>{0.5, 1, 2};
    std::sort(m.begin(), m.end());
    EXPECT_EQ(m, (std::vector<double>{0.5, 1, 2}));
  }
  EXPECT_TRUE(moved);
}

TEST(Modulation, ShuffledFixedDrawsOnceForTheWholeRunAndShuffledForEveryBatch) {
  EXPECT_EQ(drawn_batch(unclipped("shuffled"), 7), 7U);
  EXPECT_EQ(drawn_batch(unclipped("shuffled-fixed"), 7), 0U);
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    EXPECT_EQ(values(first_layer(one_layer(), unclipped("shuffled-fixed"), seed).error),
              values(first_layer(one_layer(), unclipped("shuffled"), seed).error));
}

TEST(Modulation, InverseGivesTheMostResponsibleUnitTheSmallestFactor) {
  EXPECT_EQ(values(first_layer(one_layer(), unclipped("inverse")).error), (std::vector<double>{2, 1.5, 0.5}));
  EXPECT_EQ(values(first_layer(one_layer(), resolved({.modulation = "inverse"})).error),
            (std::vector<double>{2, 2, 1}));
}

TEST(Modulation, MeanOneKeepsTheRatiosOfTheFactors) {
  const at::Tensor m = first_layer(one_layer(), unclipped("mean-one")).error;
  EXPECT_DOUBLE_EQ(m.mean().item<double>(), 1);
  EXPECT_DOUBLE_EQ(m[1].item<double>() / m[0].item<double>(), 2);
  EXPECT_DOUBLE_EQ(m[2].item<double>() / m[0].item<double>(), 4);
}

TEST(Modulation, PowerRaisesTheResponsibilityWithoutAClip) {
  Weights weights = one_layer();
  Rule rule = resolved({.modulation = "power", .constants = {1}});  // the clip of bp would make two factors equal
  const auto with = [&](double p) {
    rule.constants = {p};
    return values(first_layer(weights, rule).error);
  };
  const auto near = [](const std::vector<double>& expected) {
    return ::testing::Pointwise(::testing::DoubleNear(1e-15), expected);
  };
  EXPECT_THAT(with(0), near({1, 1, 1}));
  EXPECT_THAT(with(1), near({3.0 / 7, 6.0 / 7, 12.0 / 7}));
  EXPECT_THAT(with(2), near({3.0 / 21, 12.0 / 21, 48.0 / 21}));
  EXPECT_THAT(with(-1), near({12.0 / 7, 6.0 / 7, 3.0 / 7}));
  weights.layers[0][0] = 0;  // a unit without weights
  EXPECT_EQ(with(1)[0], 0);
  EXPECT_THAT(with(-1), near({3 * 1000 / 1003.0, 3 * 2 / 1003.0, 3 * 1 / 1003.0}));
  weights.layers[0].zero_();
  EXPECT_THAT(with(2), near({1, 1, 1}));
}

TEST(Modulation, ConstantHasOneValueForAllLayersOrOnePerLayer) {
  Weights weights = one_layer();
  weights.layers.insert(weights.layers.begin() + 1, at::ones({3, 3}, at::kDouble));
  Rule rule = resolved({.modulation = "constant", .constants = {1.5}});
  Random random(1);
  EXPECT_EQ(values(factors(weights, rule, random).at(1).error), (std::vector<double>{1.5, 1.5, 1.5}));
  rule.constants = {1.5, 1.25};
  EXPECT_EQ(values(factors(weights, rule, random).at(0).error), (std::vector<double>{1.5, 1.5, 1.5}));
  EXPECT_EQ(values(factors(weights, rule, random).at(1).error), (std::vector<double>{1.25, 1.25, 1.25}));
}

TEST(Modulation, ConstantsAreRefusedThatTheModulationCannotHave) {
  const double infinite = std::numeric_limits<double>::infinity();
  const auto fault = [](const std::string& name, const std::vector<double>& constants) {
    return fault_of(modulation_of({.modulation = name}), constants);
  };
  EXPECT_EQ(fault("power", {}), "the modulation power must have constants; got none");
  EXPECT_EQ(fault("power", {1, infinite}), "constants must be finite; got 1, inf");
  EXPECT_EQ(fault("power", {-1, 0, 2}), "");
  EXPECT_EQ(fault("constant", {1, 0}), "constants must be above 0; got 1, 0");
  EXPECT_EQ(fault("constant", {1.5}), "");
  EXPECT_EQ(fault("grapes", {}), "");
  for (const Modulation& row : modulations()) {
    const bool needs = row.numbers != Modulation::Numbers::none;
    EXPECT_EQ(needs, !row.symbol.empty()) << row.name;
    if (needs) {
      EXPECT_THROW(resolved({.modulation = row.name}), c10::ValueError) << row.name;
    } else {
      EXPECT_NO_THROW(resolved({.modulation = row.name})) << row.name;
    }
  }
}

TEST(Modulation, RowsSayWhetherFactorsDependOnTheWeightsAndDifferWithinALayer) {
  Weights other = one_layer();
  other.layers[0][1] = 5;  // sums of 1, 5 and 4 instead of 1, 2 and 4
  for (const Modulation& row : modulations()) {
    Rule rule;
    rule.modulation = row.name;
    rule.constants = {1.5};
    rule.clip.kind = Clip::Kind::none;
    rule = resolved(rule);
    const auto made = [&](const Weights& weights) {
      const Factors m = first_layer(weights, rule);
      EXPECT_EQ(row.local && row.makes_factors(), m.rows.defined()) << row.name;
      return m.error.defined() ? m.error : m.rows;
    };
    const at::Tensor m = made(one_layer());
    EXPECT_EQ(m.defined(), row.makes_factors()) << row.name;
    if (!m.defined()) continue;
    EXPECT_EQ(at::equal(m, made(other)), !row.from_weights) << row.name;
    EXPECT_EQ(at::equal(m, m[0].expand({3})), row.one_factor) << row.name;
    rule.clip = {Clip::Kind::range, 1, 2};
    EXPECT_EQ(at::equal(m, made(one_layer())), !row.clips || !row.from_weights) << row.name;
  }
}

TEST(Modulation, FactorBitsRoundToTheNearestStep) {
  // Rows that sum to 8, 5, 4.9, 4.5, 4 and 1: factors 2, 1.25, 1.225, 1.125, 1, 1 (0.25 unclipped).
  Weights weights;
  weights.layers = {at::tensor({8.0, 5.0, 4.9, 4.5, 4.0, 1.0}, at::kDouble).reshape({6, 1}),
                    at::ones({2, 6}, at::kDouble)};
  Rule rule = resolved({.modulation = "grapes"});
  const auto with = [&](int bits) {
    rule.factor_bits = bits;
    Random random(1);
    return factors(weights, rule, random).at(0).error;
  };
  EXPECT_TRUE(at::equal(with(0), at::tensor({2.0, 1.0, 1.0, 1.0, 1.0, 1.0}, at::kDouble)));
  EXPECT_TRUE(at::equal(with(1), at::tensor({2.0, 1.5, 1.0, 1.0, 1.0, 1.0}, at::kDouble)));
  EXPECT_TRUE(at::equal(with(2), at::tensor({2.0, 1.25, 1.25, 1.25, 1.0, 1.0}, at::kDouble)));
  EXPECT_TRUE(at::allclose(with(-1), at::tensor({2.0, 1.25, 1.225, 1.125, 1.0, 1.0}, at::kDouble)));
  rule = unclipped("grapes");
  EXPECT_EQ(with(1)[5].item<double>(), 0.5);
  EXPECT_EQ(with(0)[5].item<double>(), 1);  // not 0, which would stop the unit's learning
}

TEST(Modulation, OutgoingResponsibilityComesFromTheColumnsAbove) {
  Weights weights = one_layer();
  weights.layers[1] = at::tensor({4.0, -1.0, 1.0, 0.0, 1.0, -1.0}, at::kDouble).reshape({2, 3});
  Rule rule = unclipped("grapes");
  rule.responsibility = Responsibility::outgoing;
  EXPECT_EQ(values(first_layer(weights, rule).error), (std::vector<double>{2, 1, 1}));
}

TEST(Modulation, TheFirstExamplesMaskExcludesItsDroppedUnits) {
  Weights weights = one_layer();
  const Rule rule = unclipped("grapes");
  EXPECT_EQ(values(first_layer(weights, rule).error), (std::vector<double>{0.5, 1, 2}));
  weights.masks = {at::tensor({1.0, 1.0, 0.0}, at::kDouble)};
  EXPECT_EQ(values(first_layer(weights, rule).error), (std::vector<double>{1, 2, 0}));
}

TEST(Modulation, ShareLastFactorKeepsOwnFactorsOnlyForTheFirstExample) {
  std::vector<Factors> all(2);
  all[0].error = at::tensor({1.0, 2.0}, at::kDouble);
  all[1].error = at::tensor({3.0, 4.0}, at::kDouble);
  share_last_factor(all, 3);
  EXPECT_EQ(values(all[0].error), (std::vector<double>{1, 2, 3, 4, 3, 4}));
  EXPECT_EQ(values(all[1].error), (std::vector<double>{3, 4, 3, 4, 3, 4}));
  all[0].error = at::ones({3}, at::kDouble);
  all[1].error = at::ones({2}, at::kDouble);
  EXPECT_THROW(share_last_factor(all, 3), c10::Error);
  share_last_factor(all, 1);
  EXPECT_EQ(all[0].error.sizes(), (at::IntArrayRef{1, 3})) << "no other sample, so widths may differ";
}

TEST(Modulation, ErrorsNameTheLayerThatIsNotFiniteAndTheModulations) {
  Weights weights = one_layer();
  weights.layers[0][1][0] = std::numeric_limits<double>::quiet_NaN();
  try {
    first_layer(weights, unclipped("grapes"));
    FAIL() << "no error";
  } catch (const c10::ValueError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("layer 1"));
  }
  try {
    first_layer(one_layer(), unclipped("grape"));
    FAIL() << "no error";
  } catch (const c10::ValueError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("did you mean 'grapes'?"));
  }
}

}  // namespace
}  // namespace grapes::credit
