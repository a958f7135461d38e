#pragma once

#include "grapes/exchange/spiking_net.h"
#include "grapes/nir/graph.h"
#include "grapes/nn/lif.h"

#include <string>

namespace grapes::exchange {

/// The entry "format" in the metadata of graphs from to_nir().
inline constexpr const char* nir_format = "grapes-nir/1";
/// Whether a graph was made by to_nir().
bool is_ours(const nir::Graph& graph);
/// Returns the time step in its metadata, s. @param file  for messages @throws DataError if it is missing
double dt_of(const nir::Graph& graph, const std::string& file);

/// Converts a network to a NIR graph. In Euler steps of length dt, the graph's equations give exactly the network's
/// spikes:
///
/// | neurons                          | node              | parameters                                        |
/// | with reset, without synapse      | LIF               | tau = dt / (1 - d), r = tau / dt, v_threshold = θ |
/// | with reset, with synapse         | CubaLIF           | the same, tau_syn = dt / (1 - α), w_in = tau_syn / dt |
/// | with reset, all d = 1            | IF                | r = 1 / dt                                        |
/// | reset to ρ                       | the same          | v_reset = ρ                                       |
/// | without reset, output membrane   | LI, CubaLI, or I  | as above without a threshold                      |
/// | without reset, output spikes     | the same, followed by a Threshold |                                   |
///
/// v_leak = 0, and v_reset = 0 without ρ. The reset of a LIF is exact: v := 0 at a spike has the effect of the factor 1
/// - y_{t-1} on s_{t-1} in the next step. R is a Linear in a loop. In each step, the current of a CubaLIF is updated
/// before its membrane. Metadata contain dt and the exact d and α of each population, which tau would round.
/// @param dt  time step, s
/// @throws UsageError with the layer, for neurons that output their membrane but reset or have recurrent spikes, for
///   decays that no NIR node has, and for weights that are not finite
nir::Graph to_nir(const SpikingNet& net, double dt);

/// Settings of the program that wrote a graph, which its file does not contain.
struct Reading {
  nn::Integrator integrator = nn::Integrator::euler;
  std::string reset = "hard";  ///< hard: to v_reset, as NIR says; subtract: by v_threshold - v_leak
};
/// Converts a NIR graph to a network, also one from another program with parameters in seconds. It must be a chain of
/// Linear, Affine, Conv2d, SumPool2d, AvgPool2d, Flatten, Scale, Delay and the neurons above, each optionally with a
/// recurrent Linear or Affine. What multiplies a current in a step, such as r dt / tau or a Scale, is folded into the
/// weights before it (a Scale without weights before it into those after it), the bias of a recurrent Affine into the
/// bias before it, and v_leak into the threshold. A graph from to_nir() gives the original network, bit for bit.
/// @param dt       time step in s, above 0; ignored for graphs from to_nir()
/// @param file     for messages
/// @param reading  ignored for graphs from to_nir()
/// @throws DataError with file and node, for an invalid graph (nir::check) or one that is not such a chain; UsageError
///   for a dt that does not fit its time constants, and for an unknown reset
SpikingNet from_nir(const nir::Graph& graph, double dt, const std::string& file, const Reading& reading = {});
/// Whether a graph has a time constant or a delay. Without one, a time step only scales the input of neurons.
bool has_times(const nir::Graph& graph);

}  // namespace grapes::exchange
