#pragma once

#include "grapes/base/table.h"
#include "grapes/fixed/network.h"

#include <cmath>
#include <random>

namespace grapes::fixed {

/// A network with weights distributed as in He et al., which learns by grapes.
inline Network drawn(const std::vector<std::size_t>& nodes, int bits, const char* activation, std::uint32_t seed) {
  std::mt19937 random(seed);
  Network network;
  network.formats.weight_bits = bits;
  network.activation = &find_row(activations(), "activation", activation);
  network.learning = Learning{Learning::Loss::cross_entropy, true, 4, 6};
  for (std::size_t l = 1; l < nodes.size(); ++l) {
    std::vector<double> weights(nodes[l] * nodes[l - 1]);
    std::normal_distribution<double> normal(0, std::sqrt(2.0 / static_cast<double>(nodes[l - 1])));
    for (double& w : weights) w = normal(random);
    network.layers.push_back(quantize(weights, {}, nodes[l - 1], bits, 1, l - 1));
  }
  check(network);
  return network;
}

}  // namespace grapes::fixed
