#include "grapes/fixed/checksum.h"

#include "grapes/fixed/factor.h"

#include <algorithm>

namespace grapes::fixed {
namespace {

struct Sample {
  std::vector<std::int32_t> inputs, targets;
  std::size_t label;
};

/// Returns a number in [-0.5, 0.5], in units of 2^-fraction.
std::int32_t noise(std::uint32_t drawn, int fraction) {
  return static_cast<std::int32_t>((drawn >> 16) >> (16 - fraction)) - ((1 << fraction) >> 1);
}

Sample draw(const Network& network, std::uint32_t& random, bool extreme) {
  const std::size_t outputs = network.layers.back().nodes;
  const Formats& f = network.formats;
  Sample sample;
  sample.label = next(random) % outputs;
  for (std::size_t i = 0; i < network.layers.front().inputs; ++i) {
    const std::uint32_t drawn = next(random);
    std::int32_t x = extreme ? static_cast<std::int32_t>(drawn >> 16) - 32768 : noise(drawn, f.input);
    if (i % outputs == sample.label) x = std::min(x + (1 << f.input), 32767);
    sample.inputs.push_back(x);
  }
  if (!network.classes)
    for (std::size_t k = 0; k < outputs; ++k) sample.targets.push_back(noise(next(random), f.activation));
  return sample;
}

}  // namespace

std::uint32_t checksum(const Network& network, State& state, std::size_t samples) {
  std::uint32_t sum = 2166136261u, random = 88172645u;
  const auto take = [&](std::uint32_t word) { sum = (sum ^ word) * 16777619u; };
  const auto take_all = [&](const std::vector<std::int32_t>& words) {
    for (const std::int32_t word : words) take(static_cast<std::uint32_t>(word));
  };
  for (std::size_t s = 0; s < samples; ++s) {
    const Sample sample = draw(network, random, s % 16 == 15);
    const std::vector<std::int32_t>& logits = infer(network, state, sample.inputs);
    take_all(logits);
    if (network.classes) take(static_cast<std::uint32_t>(greatest(logits)));
    if (!network.learning) continue;
    if (network.classes)
      learn(network, state, sample.inputs, sample.label);
    else
      learn(network, state, sample.inputs, sample.targets);
  }
  if (!network.learning) return sum;
  for (const Layer& layer : state.layers) take_all(layer.weights);
  if (network.biases)
    for (const Layer& layer : state.layers) take_all(layer.biases);
  if (network.learning->grapes)
    for (std::size_t l = 0; l + 1 < state.layers.size(); ++l)
      for (std::size_t n = 0; n < state.layers[l].nodes; ++n)
        take(static_cast<std::uint32_t>(
            responsibility(&state.layers[l].weights[n * state.layers[l].inputs], state.layers[l].inputs)));
  return sum;
}

}  // namespace grapes::fixed
