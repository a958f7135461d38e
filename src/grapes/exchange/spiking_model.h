#pragma once

#include "grapes/exchange/spiking_net.h"
#include "grapes/nn/network.h"

#include <string>
#include <vector>

/// Our models of spiking neurons as values that NIR can express, and back. What learning needs (surrogate, route,
/// modulation) is no part of them; encoder and readout neither: they stay with the options.
namespace grapes::exchange {

/// The same network with what NIR cannot express replaced by what is nearest to it: a sigmoid output by the step, relu
/// and leaky_relu on the membrane by the identity, other resets by the hard one.
/// @param replaced  receives a sentence for each replacement
nn::Options nearest(nn::Options options, std::vector<std::string>& replaced);

/// A model snn:... as what it computes. Layers are called layer_0, neurons_0, layer_1, ...
/// @param options      of the model. @param approximate  with nearest(); else it is refused that there is anything to
/// say
/// @param replaced         receives a sentence for each replacement
/// @throws UsageError that names what NIR has no type for: another model, and without `approximate` all of the above
///         and a readout of a membrane that spikes reset
SpikingNet net_of(const nn::Network& model, const nn::Options& options, const nn::Signature& signature,
                  bool approximate, std::vector<std::string>& replaced);

/// The model that computes a net: its kind of neurons, widths, decays, what goes out. Everything else as in `options`.
/// @param each_step  the net ends in a Linear: logits at every step
/// @throws DataError that names the file and the layer which no model of ours has
nn::Options options_of(const SpikingNet& net, nn::Options options, const std::string& file);
/// Whether the net ends in a Linear, so that it answers at every step.
bool answers_each_step(const SpikingNet& net);

/// The net's weights, decays and thresholds into a model. A layer without R in a recurrent model gets zeros, output
/// neurons without a threshold one that is never reached.
/// @throws DataError that names the file and what of the net the model does not have
void fill(nn::Network& model, const nn::Options& options, const SpikingNet& net, const std::string& file);

}  // namespace grapes::exchange
