#include "grapes/fixed/network.h"

#include "grapes/fixed/factor.h"
#include "grapes/fixed/softmax.h"

#include <algorithm>

namespace grapes::fixed {
namespace {

using Numbers = std::vector<std::int32_t>;

std::vector<std::uint64_t> responsibilities(const Layer& layer) {
  std::vector<std::uint64_t> r;
  for (std::size_t n = 0; n < layer.nodes; ++n)
    r.push_back(responsibility(&layer.weights[n * layer.inputs], layer.inputs));
  return r;
}

/// Computes δ^L from probabilities or from differences. `targets` have the fraction of activations.
Numbers output_error(const Network& network, const Numbers& logits, const Numbers& targets) {
  const Formats& f = network.formats;
  Numbers error;
  if (network.learning->loss == Learning::Loss::cross_entropy) {
    const Numbers p = softmax(logits, f.activation, f.error);
    for (std::size_t k = 0; k < p.size(); ++k) error.push_back(p[k] - (targets[k] != 0 ? 1 << f.error : 0));
    return error;
  }
  // 2 / K in units of 2^-13. The product stays within 2^30.
  const auto outputs = static_cast<std::int64_t>(logits.size());
  const std::int64_t factor = ((1 << 14) + outputs / 2) / outputs;
  for (std::size_t k = 0; k < logits.size(); ++k) {
    const std::int64_t distance = std::int64_t{logits[k]} - targets[k];
    error.push_back(saturate(shift_right(distance * factor, f.activation + 13 - f.error), 16));
  }
  return error;
}

/// Computes δ of layer l - 1 from the weights of layer l.
Numbers error_below(const Network& network, const State& state, std::size_t l) {
  const Layer& layer = state.layers[l];
  const Numbers& h = state.values[l - 1];
  Numbers error;
  for (std::size_t i = 0; i < layer.inputs; ++i) {
    std::int64_t sum = 0;
    for (std::size_t n = 0; n < layer.nodes; ++n)
      sum += std::int64_t{layer.weights[n * layer.inputs + i]} * state.errors[l][n];
    const std::int32_t arrives = saturate(shift_right(sum, layer.fraction), 16);
    error.push_back(network.activation->derivative(arrives, h[i], network.formats.activation));
  }
  if (network.learning->grapes) {
    const int k = network.learning->factor_bits;
    const std::vector<std::uint32_t> steps = factor_steps(responsibilities(state.layers[l - 1]), k);
    for (std::size_t i = 0; i < error.size(); ++i) error[i] = modulate(error[i], steps[i], k, 16);
  }
  return error;
}

void descend(std::int32_t& weight, std::int64_t product, int shift, int bits, std::uint32_t& random) {
  if (product == 0) return;
  const std::uint32_t u = next(random) >> (32 - shift);
  weight = saturate(weight - ((product + u) >> shift), bits);
}

void update(const Network& network, State& state, std::size_t l, const Numbers& h) {
  Layer& layer = state.layers[l];
  const int shift = update_shift(network, l);
  const std::int64_t one = std::int64_t{1} << input_fraction(network, l);
  for (std::size_t n = 0; n < layer.nodes; ++n) {
    const std::int64_t error = state.errors[l][n];
    for (std::size_t i = 0; i < layer.inputs; ++i)
      descend(layer.weights[n * layer.inputs + i], error * h[i], shift, network.formats.weight_bits, state.random);
    if (network.biases) descend(layer.biases[n], error * one, shift, 16, state.random);
  }
}

}  // namespace

State begin(const Network& network) {
  State state{network.layers, {}, {}, first_random};
  for (const Layer& layer : network.layers) {
    state.values.emplace_back(layer.nodes);
    state.errors.emplace_back(layer.nodes);
  }
  return state;
}

const Numbers& infer(const Network& network, State& state, const Numbers& x) {
  const Numbers* h = &x;
  for (std::size_t l = 0; l < state.layers.size(); ++l) {
    const Layer& layer = state.layers[l];
    const int fraction = input_fraction(network, l), shift = layer.fraction + fraction - network.formats.activation;
    for (std::size_t n = 0; n < layer.nodes; ++n) {
      std::int64_t sum = network.biases ? std::int64_t{layer.biases[n]} * (1 << fraction) : 0;
      for (std::size_t i = 0; i < layer.inputs; ++i) sum += std::int64_t{layer.weights[n * layer.inputs + i]} * (*h)[i];
      const std::int32_t z = saturate(shift_right(sum, shift), 16);
      const bool hidden = l + 1 < state.layers.size();
      state.values[l][n] = hidden ? network.activation->value(z, network.formats.activation) : z;
    }
    h = &state.values[l];
  }
  return *h;
}

std::size_t greatest(const Numbers& logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

void learn(const Network& network, State& state, const Numbers& x, const Numbers& targets) {
  infer(network, state, x);
  state.errors.back() = output_error(network, state.values.back(), targets);
  for (std::size_t l = state.layers.size(); l-- > 0;) {
    if (l > 0) state.errors[l - 1] = error_below(network, state, l);
    update(network, state, l, l > 0 ? state.values[l - 1] : x);
  }
}

void learn(const Network& network, State& state, const Numbers& x, std::size_t label) {
  Numbers targets(network.layers.back().nodes);
  targets.at(label) = 1 << network.formats.activation;
  learn(network, state, x, targets);
}

std::uint32_t next(std::uint32_t& random) {
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  return random;
}

}  // namespace grapes::fixed
