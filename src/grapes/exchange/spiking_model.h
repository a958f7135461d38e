#pragma once

#include "grapes/exchange/spiking_net.h"
#include "grapes/nn/network.h"

#include <limits>
#include <string>
#include <vector>

/// Converts spiking models to values that NIR can express, and back. Settings for learning (surrogate, route,
/// modulation), the encoder and the readout are not converted; they stay with the options.
namespace grapes::exchange {

/// Threshold of an output neuron that only outputs its membrane: it is never reached.
constexpr double never = std::numeric_limits<float>::max();

/// Returns the options with everything that NIR cannot express replaced by the nearest equivalent: a sigmoid output by
/// the step, relu and leaky_relu on the membrane by the identity, other resets by the hard one, an adaptive
/// threshold by a fixed one, and a refractory period by none.
/// @param replaced  receives a sentence for each replacement
nn::Options nearest(nn::Options options, std::vector<std::string>& replaced);

/// Converts a spiking model. Layers are named layer_0, neurons_0, layer_1, ...
/// @param options      of the model
/// @param approximate  apply nearest(); false: throw if there is something to replace
/// @param replaced     receives a sentence for each replacement
/// @throws UsageError with what NIR cannot express: other models, and without `approximate` all of the above and the
///   readout of a membrane that resets
SpikingNet net_of(const nn::Network& model, const nn::Options& options, const nn::Signature& signature,
                  bool approximate, std::vector<std::string>& replaced);

/// Returns the options of the model that computes a net: neurons, widths, decays, output. Everything else is as in
/// `options`.
/// @throws DataError with the file and the layer that no model supports
nn::Options options_of(const SpikingNet& net, nn::Options options, const std::string& file);
/// Whether the net ends in a Linear, so that it has an output at every step.
bool answers_each_step(const SpikingNet& net);
/// Returns the number of units of the last Linear, which are the outputs of a net with options_of().
std::int64_t outputs_of(const SpikingNet& net);

/// Copies the net's weights, decays and thresholds to a model. In a recurrent model, layers without R get zeros. Output
/// neurons without a threshold get one that is never reached.
/// @throws DataError with the file and the part of the net that does not match the model
void fill(nn::Network& model, const nn::Options& options, const SpikingNet& net, const std::string& file);

}  // namespace grapes::exchange
