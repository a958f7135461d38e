#pragma once

#include "grapes/exchange/spiking_net.h"
#include "grapes/nir/graph.h"

/// Populations of neurons as nodes of NIR and back; the table is in exchange/nir.h, the equations in nn/lif.h.
namespace grapes::exchange {

/// The node, which knows neither R nor the Threshold behind neurons that do not reset. Its metadata hold d, α, and a θ
/// that has no other place.
/// @param dt  s
/// @throws UsageError: neurons that show their membrane though they reset or hear their spikes, decays that no node has
nir::Node node_of(const Neurons& neurons, double dt);

/// Whether population_of() knows the node's type.
bool is_population(const nir::Node& node);

struct Population {
  Neurons neurons;
  at::Tensor scale;  ///< by what the current of each neuron is multiplied in a step, float64, of the population's shape
};
/// @param node  without fault
/// @param ours  made by node_of(): its metadata count, and scale is 1
/// @throws DataError: what units cannot be, metadata that do not go with the parameters; UsageError for a time constant
///         below dt
Population population_of(const nir::Node& node, double dt, bool ours);

}  // namespace grapes::exchange
