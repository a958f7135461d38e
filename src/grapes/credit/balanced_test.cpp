#include "grapes/credit/balanced.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace grapes::credit {
namespace {

/// A chain with random weights, and biases if `biased`.
Weights chain(const std::vector<std::int64_t>& sizes, bool biased) {
  Weights weights;
  for (std::size_t l = 1; l < sizes.size(); ++l) {
    weights.layers.push_back(at::randn({sizes[l], sizes[l - 1]}, at::kDouble));
    weights.biases.push_back(biased ? at::randn({sizes[l]}, at::kDouble) : at::Tensor());
  }
  return weights;
}

/// Multiplies the incoming weights and biases of the units of hidden layer l by c, and divides the outgoing ones by c.
void rescale(Weights& weights, std::size_t l, const at::Tensor& c) {
  weights.layers[l] = weights.layers[l] * c.unsqueeze(1);
  if (weights.biases[l].defined()) weights.biases[l] = weights.biases[l] * c;
  weights.layers[l + 1] = weights.layers[l + 1] / c;
}

/// Largest relative difference, over all hidden layers and units, between the incoming and the outgoing sum in the
/// network with weights W_ji s_i / s_j, s = √f, in loops over the weights.
double imbalance(const Weights& weights, const std::vector<at::Tensor>& f) {
  const auto s = [&](std::size_t layer, std::int64_t unit) {  // layer 0: the inputs
    return layer == 0 || layer > f.size() ? 1.0 : std::sqrt(f[layer - 1][unit].item<double>());
  };
  const auto balanced = [&](std::size_t l, std::int64_t n, std::int64_t i) {
    return std::abs(weights.layers[l][n][i].item<double>()) * s(l, i) / s(l + 1, n);
  };
  double largest = 0;
  for (std::size_t l = 0; l < f.size(); ++l)
    for (std::int64_t n = 0; n < f[l].size(0); ++n) {
      double in = 0, out = 0;
      for (std::int64_t i = 0; i < weights.layers[l].size(1); ++i) in += balanced(l, n, i);
      if (weights.biases[l].defined()) in += std::abs(weights.biases[l][n].item<double>()) / s(l + 1, n);
      for (std::int64_t k = 0; k < weights.layers[l + 1].size(0); ++k) out += balanced(l + 1, k, n);
      largest = std::max(largest, std::abs(in / out - 1));
    }
  return largest;
}

TEST(Balanced, WithOneHiddenLayerEqualsTheRatioOfSumsByHand) {
  Weights weights;
  weights.layers = {at::tensor({1.0, -2.0, 4.0, 0.5}, at::kDouble).view({2, 2}),
                    at::tensor({-3.0, 1.0, 1.0, 8.0}, at::kDouble).view({2, 2})};
  weights.biases = {at::tensor({-5.0, 0.0}, at::kDouble), at::Tensor()};
  // Incoming 1 + 2 + 5 and 4.5; outgoing 3 + 1 and 1 + 8.
  for (const auto& f : {balancing(weights), balancing_once(weights)}) {
    ASSERT_EQ(f.size(), 1U);
    EXPECT_NEAR(f[0][0].item<double>(), 2, 1e-14);
    EXPECT_NEAR(f[0][1].item<double>(), 0.5, 1e-14);
  }
  Random random(1);
  const std::vector<Factors> all = balanced(weights, random);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(at::allclose(all[0].rows, at::tensor({2.0, 0.5}, at::kDouble)));
  EXPECT_TRUE(at::allclose(all[1].columns, at::tensor({0.5, 2.0}, at::kDouble)));
  EXPECT_FALSE(all[0].columns.defined() || all[1].rows.defined() || all[0].error.defined());
}

TEST(Balanced, SolvesItsEquationsAtEveryDepth) {
  at::manual_seed(1);
  for (const bool biased : {false, true})
    for (const std::vector<std::int64_t>& sizes :
         {std::vector<std::int64_t>{5, 4, 3}, {5, 7, 6, 3}, {9, 1, 8, 2}, std::vector<std::int64_t>(22, 6)}) {
      Weights weights = chain(sizes, biased);
      for (std::size_t l = 0; l + 1 < weights.layers.size(); ++l)
        rescale(weights, l, (at::randn({sizes[l + 1]}, at::kDouble) * 3).exp());
      EXPECT_LE(imbalance(weights, balancing(weights)), 1e-11) << sizes.size() << " sizes, biased " << biased;
      if (sizes.size() > 3) {
        EXPECT_GT(imbalance(weights, balancing_once(weights)), 0.1);
      }
    }
}

TEST(Balanced, ARescalingMultipliesFByTheSquare) {
  at::manual_seed(2);
  Weights weights = chain({5, 7, 6, 8, 3}, true);
  const std::vector<at::Tensor> before = balancing(weights), once = balancing_once(weights);
  std::vector<at::Tensor> c;
  for (const std::int64_t units : {7, 6, 8}) c.push_back((at::randn({units}, at::kDouble) * 2).exp());
  for (std::size_t l = 0; l < 3; ++l) rescale(weights, l, c[l]);
  const std::vector<at::Tensor> after = balancing(weights), after_once = balancing_once(weights);
  for (std::size_t l = 0; l < 3; ++l) {
    EXPECT_TRUE(at::allclose(after[l], before[l] * c[l].square(), 1e-11, 0)) << l;
    EXPECT_FALSE(at::allclose(after_once[l], once[l] * c[l].square(), 0.1, 0)) << l;
  }
}

TEST(Balanced, UnitsOnNoPathGetOneAndDoNotCount) {
  at::manual_seed(3);
  Weights weights = chain({4, 5, 5, 2}, false);
  Weights smaller = weights;
  weights.layers[2].select(1, 4).zero_();  // no outgoing weights
  weights.layers[0][3].zero_();            // no incoming weights
  // What is left without these units.
  smaller.layers[0] = at::cat({weights.layers[0].narrow(0, 0, 3), weights.layers[0].narrow(0, 4, 1)});
  smaller.layers[1] =
      at::cat({weights.layers[1].narrow(1, 0, 3), weights.layers[1].narrow(1, 4, 1)}, 1).narrow(0, 0, 4);
  smaller.layers[2] = weights.layers[2].narrow(1, 0, 4);
  const std::vector<at::Tensor> f = balancing(weights), expected = balancing(smaller);
  EXPECT_EQ(f[0][3].item<double>(), 1);
  EXPECT_EQ(f[1][4].item<double>(), 1);
  EXPECT_TRUE(at::allclose(f[0].narrow(0, 0, 3), expected[0].narrow(0, 0, 3), 1e-11, 0));
  EXPECT_TRUE(at::allclose(f[0][4], expected[0][3], 1e-11, 0));
  EXPECT_TRUE(at::allclose(f[1].narrow(0, 0, 4), expected[1], 1e-11, 0));
  for (at::Tensor& W : weights.layers) W.zero_();
  for (const at::Tensor& one : balancing(weights)) EXPECT_TRUE(at::equal(one, at::ones({5}, at::kDouble)));
}

TEST(Balanced, AChannelIsAUnit) {
  at::manual_seed(4);
  Weights maps;
  maps.layers = {at::randn({3, 2, 2, 2}, at::kDouble), at::randn({2, 3, 4}, at::kDouble)};
  Weights sums;
  sums.layers = {maps.layers[0].abs().sum(at::IntArrayRef({2, 3})), maps.layers[1].abs().sum(2)};
  EXPECT_TRUE(at::allclose(balancing(maps)[0], balancing(sums)[0], 1e-13, 0));
}

TEST(Balanced, ShuffledPermutesFAndAnInfiniteWeightIsAnError) {
  at::manual_seed(5);
  Weights weights = chain({4, 30, 2}, false);
  Random first(7), again(7);
  const at::Tensor f = balancing(weights)[0], m = balanced_shuffled(weights, first)[0].rows;
  EXPECT_FALSE(at::equal(f, m));
  EXPECT_TRUE(at::equal(std::get<0>(f.sort()), std::get<0>(m.sort())));
  EXPECT_TRUE(at::equal(balanced_shuffled(weights, again)[0].rows, m));
  weights.layers[1][0][0] = std::numeric_limits<double>::infinity();
  try {
    balancing(weights);
    FAIL() << "nothing was refused";
  } catch (const c10::ValueError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("layer 2: every weight must be finite"));
  }
}

}  // namespace
}  // namespace grapes::credit
