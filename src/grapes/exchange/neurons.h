#pragma once

#include "grapes/exchange/spiking_net.h"
#include "grapes/nir/graph.h"
#include "grapes/nn/lif.h"

/// Converts populations of neurons to NIR nodes and back. exchange/nir.h has the table, nn/lif.h the equations.
namespace grapes::exchange {

/// Returns the node, without R and without the Threshold after neurons that do not reset. Its metadata contain d, α,
/// and θ if the node has no parameter for it.
/// @param dt  time step, s
/// @throws UsageError for neurons that output their membrane but reset or have recurrent spikes, and for decays that no
///   node has
nir::Node node_of(const Neurons& neurons, double dt);

/// Whether population_of() supports the node's type.
bool is_population(const nir::Node& node);

struct Population {
  Neurons neurons;
  at::Tensor scale;  ///< multiplies the current of each neuron in a step; float64, of the population's shape
};
/// @param node  must be valid
/// @param ours  made by node_of(): its metadata are used, and scale is 1
/// @throws DataError for parameters that units cannot have, and metadata that contradict them; UsageError for a time
///   constant below dt
Population population_of(const nir::Node& node, double dt, nn::Integrator integrator, bool ours);

}  // namespace grapes::exchange
