#pragma once

#include "grapes/exchange/spiking_net.h"
#include "grapes/nir/graph.h"

#include <string>

namespace grapes::exchange {

/// What the metadata of a graph that to_nir() made says under "format".
inline constexpr const char* nir_format = "grapes-nir/1";
/// Whether it made this one.
bool is_ours(const nir::Graph& graph);
/// The step that its metadata name, s. @param file  for messages @throws DataError if they do not
double dt_of(const nir::Graph& graph, const std::string& file);

/// A network as a graph of NIR, whose equations, taken in Euler steps of length dt, are the network's to the last
/// spike:
///
/// | neurons                        | node              | parameters                                        |
/// | that reset, without synapse    | LIF               | tau = dt / (1 - d), r = tau / dt, v_threshold = θ |
/// | that reset, with one           | CubaLIF           | the same, tau_syn = dt / (1 - α), w_in = tau_syn / dt |
/// | that reset, all d = 1          | IF                | r = 1 / dt                                        |
/// | that do not, their membrane    | LI, CubaLI, or I  | as above without a threshold                      |
/// | that do not, their spikes      | the same, and a Threshold behind it |                                 |
///
/// v_leak = v_reset = 0; the reset of a LIF agrees exactly: v := 0 at a spike is what 1 - y_{t-1} makes of s_{t-1} at
/// the next step. R is a Linear in a loop. In a step a CubaLIF's current is taken first and the membrane then hears it.
/// Metadata hold dt, and with each population its d and α as they are, which tau would round.
/// @param dt  s
/// @throws UsageError that names the layer: neurons that show their membrane though they reset or hear their spikes,
/// decays that no node of NIR has,
///         weights that are not finite
nir::Graph to_nir(const SpikingNet& net, double dt);

/// The way back, also from graphs of other programs, whose parameters are in seconds: a chain of Linear, Affine,
/// Conv2d, SumPool2d, AvgPool2d, Flatten and the neurons above, each of which may hear itself through a Linear. What a
/// step makes of a current, r dt / tau and the like, goes into the weights before it; v_leak into the threshold.
/// Of a graph of ours the result is the network that it was made of, bit for bit.
/// @param dt    s, above 0 and at most every time constant; of a graph of ours not asked for
/// @param file  for messages
/// @throws DataError that names file and node: a graph that nir::check() finds fault with, or that is no such chain;
///         UsageError for a dt that does not go with its time constants
SpikingNet from_nir(const nir::Graph& graph, double dt, const std::string& file);

}  // namespace grapes::exchange
