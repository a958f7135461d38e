// Properties of a network that are fixed before it runs: fractions, shifts, widths.
#include "grapes/base/error.h"
#include "grapes/fixed/factor.h"
#include "grapes/fixed/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace grapes::fixed {
namespace {

constexpr int most_fraction = 15;

void require(bool holds, const std::string& message) {
  if (!holds) throw UsageError(message);
}

/// @param where  " with ...", if the range depends on something
void require_range(const std::string& field, int value, int low, int high, const std::string& where = "") {
  if (value < low || value > high)
    throw UsageError(field, fmt::format("must be {} ... {}{}; got {}", low, high, where, value));
}

/// The greatest absolute value that sums of one layer can reach, forward and backward, including rounding.
std::int64_t greatest_sum(const Network& network, std::size_t l) {
  const Layer& layer = network.layers[l];
  const int fraction = input_fraction(network, l);
  const std::int64_t half = std::int64_t{1} << (layer.fraction + std::max(fraction - network.formats.activation, 0));
  std::int64_t weights = 0, bias = 0;
  if (network.learning) {
    const auto longest = static_cast<std::int64_t>(std::max(layer.inputs, layer.nodes));
    weights = longest << (network.formats.weight_bits - 1);
    bias = network.biases ? 32768 : 0;
  } else {
    for (std::size_t n = 0; n < layer.nodes; ++n) {
      const std::uint64_t r = responsibility(&layer.weights[n * layer.inputs], layer.inputs);
      weights = std::max(weights, static_cast<std::int64_t>(r));
      if (network.biases) bias = std::max(bias, std::abs(std::int64_t{layer.biases[n]}));
    }
  }
  return weights * 32768 + (bias << fraction) + half;
}

}  // namespace

Layer quantize(const std::vector<double>& weights, const std::vector<double>& biases, std::size_t inputs, int bits,
               int headroom, std::size_t number) {
  const auto size = [&](const std::vector<double>& values) {
    double most = 0;
    for (const double v : values) {
      require(std::isfinite(v), fmt::format("layer {}: a weight or bias is not finite", number));
      most = std::max(most, std::abs(v));
    }
    return std::ldexp(most, headroom);
  };
  const double most_weight = size(weights), most_bias = size(biases);
  const auto fits = [&](int fraction) {
    return std::round(std::ldexp(most_weight, fraction)) < std::ldexp(1.0, bits - 1) &&
           std::round(std::ldexp(most_bias, fraction)) < 32768;
  };
  int fraction = most_fraction;
  while (fraction > 0 && !fits(fraction)) --fraction;
  require(fits(fraction),
          fmt::format("layer {}: weights up to {:.4g} and biases up to {:.4g}, with {} bits of headroom, "
                      "do not fit into {} and 16 bits; use less headroom or wider weights",
                      number, std::ldexp(most_weight, -headroom), std::ldexp(most_bias, -headroom), headroom, bits));
  const auto round = [&](const std::vector<double>& values) {
    std::vector<std::int32_t> rounded;
    for (const double v : values) rounded.push_back(static_cast<std::int32_t>(std::lround(std::ldexp(v, fraction))));
    return rounded;
  };
  Layer layer{inputs, weights.size() / inputs, round(weights), round(biases), fraction};
  layer.biases.resize(layer.nodes);
  return layer;
}

int input_fraction(const Network& network, std::size_t layer) {
  return layer == 0 ? network.formats.input : network.formats.activation;
}

int update_shift(const Network& network, std::size_t layer) {
  return network.formats.error + input_fraction(network, layer) + network.learning->rate_shift -
         network.layers[layer].fraction;
}

int accumulator_bits(const Network& network) {
  for (std::size_t l = 0; l < network.layers.size(); ++l)
    if (greatest_sum(network, l) >= std::int64_t{1} << 31) return 64;
  return 32;
}

void check(const Network& network) {
  const Formats& f = network.formats;
  if (f.weight_bits != 8 && f.weight_bits != 16)
    throw UsageError("weight_bits", fmt::format("must be 8 or 16; got {}", f.weight_bits));
  require_range("input_fraction", f.input, 0, 15);
  require_range("activation_fraction", f.activation, 5, 14);
  require_range("error_fraction", f.error, 5, 14);
  require(!network.layers.empty() && network.activation != nullptr, "a network needs layers and an activation");
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const Layer& layer = network.layers[l];
    require(l == 0 || layer.inputs == network.layers[l - 1].nodes,
            fmt::format("layer {} has {} inputs, but the layer before has {} outputs", l, layer.inputs,
                        l == 0 ? 0 : network.layers[l - 1].nodes));
    // 65535 · 2^15 · 2^15 is below 2^46: sums stay within 64 bits, and responsibilities within 32.
    require(layer.inputs > 0 && layer.inputs < 65536 && layer.nodes > 0 && layer.nodes < 65536 / 2,
            fmt::format("layer {}: {} x {} is out of range: at most 32767 units and 65535 inputs", l, layer.nodes,
                        layer.inputs));
    require(layer.fraction + input_fraction(network, l) >= f.activation,
            fmt::format("layer {}: its weights have {} fraction bits and its inputs {}; together they must have at "
                        "least those of activations, {}",
                        l, layer.fraction, input_fraction(network, l), f.activation));
  }
  std::size_t nodes = 0;
  for (const Layer& layer : network.layers) nodes += layer.nodes;
  require(nodes < 65536, fmt::format("the network has {} units; at most 65535 are supported", nodes));
  if (!network.learning) return;
  const Learning& learning = *network.learning;
  require_range("factor_bits", learning.factor_bits, 0, most_factor_bits);
  require(network.classes || learning.loss == Learning::Loss::squares, "cross-entropy needs classes");
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const int rest = update_shift(network, l) - learning.rate_shift;
    require_range("rate_shift", learning.rate_shift, std::max(0, 1 - rest), 30 - rest,
                  fmt::format(" with the fractions of layer {}", l));
  }
}

}  // namespace grapes::fixed
