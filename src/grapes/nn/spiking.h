#pragma once

#include "grapes/nn/neuron.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nn {

/// A neuron by the name people know it under: what it decides of a layer.
struct NeuronRow {
  std::string name;
  std::string summary;
  void (*decide)(SnuOptions& options);
};
const std::vector<NeuronRow>& neurons();

/// Keys of the command line that only spiking networks have.
struct SpikingOptions {
  std::string neuron =
      "snu";  ///< a row of neurons(); it may decide the membrane activation, the output and the synapse
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
  double synapse = 0.8;  ///< of neurons with a synaptic current
  std::int64_t truncate = 0;
  SnuOptions::Inputs products = SnuOptions::Inputs::measured;
  std::string readout = "mean_rate";  ///< a row of readouts(): of the output layer, where a sequence has one answer
};

/// What the options, and the neuron that they name, make of a layer.
/// @throws UsageError for a neuron that is in no row, else what require_possible() throws
SnuOptions neurons_of(const SpikingOptions& options);

}  // namespace grapes::nn
