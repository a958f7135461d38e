#pragma once

#include "grapes/nn/neuron.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nn {

/// Options that only spiking networks have.
struct SpikingOptions {
  std::string neuron = "snu";  ///< a name in neurons(); it may set the membrane activation, the output and the synapse
  std::string membrane_activation = "leaky_relu";
  std::string reset = "hard";
  std::string surrogate = "tanh";
  double surrogate_width = 1;
  bool detach_reset = false;
  bool recurrent = false;
  double decay = 0.8;
  SnuOptions::Decay learn_decay = SnuOptions::Decay::fixed;
  double threshold = 1;
  bool learn_threshold = true;
  double synapse = 0.8;  ///< α, for neurons with a synaptic current
  bool learn_synapse = false;
  double reset_value = 0;                            ///< ρ
  std::int64_t refractory = 0;                       ///< time steps
  double adaptation = 0.2, adaptation_decay = 0.95;  ///< β and λ, of adaptive neurons
  bool own_constants = false;  ///< every unit has its own decay, threshold, synaptic decay and reset value
  std::int64_t truncate = 0;
  SnuOptions::Inputs products = SnuOptions::Inputs::measured;
  std::string readout = "mean_rate";  ///< a name in readouts(), for the output layer if a sequence has one answer
};

/// A named neuron model. It has no synaptic current and no adaptation unless it takes them from the settings.
struct NeuronRow {
  std::string name;
  std::string summary;
  void (*decide)(SnuOptions& options, const SpikingOptions& settings);
};
const std::vector<NeuronRow>& neurons();

/// Converts the options and the named neuron to options of a layer.
/// @throws UsageError for an unknown neuron, and what require_possible() throws
SnuOptions neurons_of(const SpikingOptions& options);

}  // namespace grapes::nn
