// Compares integers with the same equations in double precision.
#include "grapes/fixed/network_test.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace grapes::fixed {
namespace {

using Numbers = std::vector<std::int32_t>;

TEST(FixedNetwork, LogitsAreCloseToDoublePrecision) {
  for (const char* activation : {"relu", "identity", "tanh", "sigmoid"}) {
    const Network network = drawn({20, 15, 5}, 16, activation, 3);
    State state = begin(network);
    std::mt19937 random(4);
    for (int round = 0; round < 50; ++round) {
      Numbers x(20);
      std::vector<double> h(20);
      for (std::size_t i = 0; i < x.size(); ++i) h[i] = (x[i] = static_cast<int>(random() % 8192) - 4096) / 4096.0;
      for (std::size_t l = 0; l < 2; ++l) {
        const Layer& layer = network.layers[l];
        std::vector<double> z(layer.nodes);
        for (std::size_t n = 0; n < layer.nodes; ++n) {
          for (std::size_t i = 0; i < layer.inputs; ++i)
            z[n] += std::ldexp(layer.weights[n * layer.inputs + i], -layer.fraction) * h[i];
          if (l == 0) {
            const std::string name = activation;
            z[n] = name == "relu"      ? std::fmax(z[n], 0)
                   : name == "tanh"    ? std::tanh(z[n])
                   : name == "sigmoid" ? 1 / (1 + std::exp(-z[n]))
                                       : z[n];
          }
        }
        h = z;
      }
      const Numbers& logits = infer(network, state, x);
      // Each hidden value has an error of about one step of 2^-10 at most; weights are about 1/3, and there are 15.
      for (std::size_t k = 0; k < h.size(); ++k) EXPECT_NEAR(logits[k] / 1024.0, h[k], 0.006) << activation;
    }
  }
}

/// The learning rule of the header in double precision, without rounding.
void learn_in_reals(std::vector<std::vector<double>>& weights, const std::vector<std::size_t>& nodes,
                    const std::vector<double>& x, std::size_t label, bool grapes, double rate) {
  const std::size_t L = weights.size();
  std::vector<std::vector<double>> h = {x}, error(L);
  for (std::size_t l = 0; l < L; ++l) {
    h.emplace_back(nodes[l + 1]);
    for (std::size_t n = 0; n < nodes[l + 1]; ++n) {
      for (std::size_t i = 0; i < nodes[l]; ++i) h[l + 1][n] += weights[l][n * nodes[l] + i] * h[l][i];
      if (l + 1 < L) h[l + 1][n] = std::fmax(h[l + 1][n], 0);
    }
  }
  double sum = 0;
  for (const double a : h[L]) sum += std::exp(a);
  for (std::size_t k = 0; k < nodes[L]; ++k) error[L - 1].push_back(std::exp(h[L][k]) / sum - (k == label ? 1 : 0));
  for (std::size_t l = L; l-- > 1;) {
    std::vector<double> r(nodes[l]);
    for (std::size_t n = 0; n < nodes[l]; ++n)
      for (std::size_t i = 0; i < nodes[l - 1]; ++i) r[n] += std::abs(weights[l - 1][n * nodes[l - 1] + i]);
    const double most = *std::max_element(r.begin(), r.end());
    for (std::size_t n = 0; n < nodes[l]; ++n) {
      double arrives = 0;
      for (std::size_t k = 0; k < nodes[l + 1]; ++k) arrives += weights[l][k * nodes[l] + n] * error[l][k];
      const double m = grapes ? std::fmin(std::fmax(2 * r[n] / most, 1), 2) : 1;
      error[l - 1].push_back(h[l][n] > 0 ? m * arrives : 0);
    }
  }
  for (std::size_t l = 0; l < L; ++l)
    for (std::size_t n = 0; n < nodes[l + 1]; ++n)
      for (std::size_t i = 0; i < nodes[l]; ++i) weights[l][n * nodes[l] + i] -= rate * error[l][n] * h[l][i];
}

TEST(FixedNetwork, LearnsLikeDoublePrecision) {
  const std::vector<std::size_t> nodes = {16, 12, 8, 4};
  for (const bool grapes : {false, true}) {
    Network network = drawn(nodes, 16, "relu", 9);
    network.learning->grapes = grapes;
    network.learning->factor_bits = 8;
    State state = begin(network);
    std::vector<std::vector<double>> weights, first;
    for (const Layer& layer : network.layers) {
      weights.emplace_back();
      for (const std::int32_t w : layer.weights) weights.back().push_back(std::ldexp(w, -layer.fraction));
    }
    first = weights;
    std::mt19937 random(10);
    for (int s = 0; s < 600; ++s) {
      const std::size_t label = random() % 4;
      Numbers x(16);
      std::vector<double> real(16);
      for (std::size_t i = 0; i < 16; ++i) {
        x[i] = static_cast<int>(random() % 4096) - 2048 + (i % 4 == label ? 4096 : 0);
        real[i] = x[i] / 4096.0;
      }
      learn(network, state, x, label);
      learn_in_reals(weights, nodes, real, label, grapes, std::ldexp(1.0, -network.learning->rate_shift));
    }
    double apart = 0, moved = 0;
    for (std::size_t l = 0; l < weights.size(); ++l)
      for (std::size_t k = 0; k < weights[l].size(); ++k) {
        const double w = std::ldexp(state.layers[l].weights[k], -network.layers[l].fraction);
        apart += (w - weights[l][k]) * (w - weights[l][k]);
        moved += (first[l][k] - weights[l][k]) * (first[l][k] - weights[l][k]);
      }
    EXPECT_GT(std::sqrt(moved), 1);
    EXPECT_LT(std::sqrt(apart / moved), 0.06) << (grapes ? "grapes" : "bp");
  }
}

}  // namespace
}  // namespace grapes::fixed
