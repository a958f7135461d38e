#pragma once

#include "grapes/nn/neuron.h"

/// Leaky integrate-and-fire neurons by the parameters of NIR (Pedersen et al. 2024, doi 10.1038/s41467-024-52259-9), as
/// spiking neural units: Euler steps of length dt, u = v - v_leak.
namespace grapes::nn {

/// tau dv/dt = (v_leak - v) + r i;  v > v_threshold: a spike, v := v_reset
struct Lif {
  double tau = 0.02;  ///< s
  double r = 1;
  double v_leak = 0, v_threshold = 1, v_reset = 0;
};
/// The same with tau_syn di/dt = -i + w_in x as its current.
struct CubaLif {
  double tau_syn = 0.005, tau_mem = 0.02;  ///< s
  double r = 1;
  double v_leak = 0, v_threshold = 1, v_reset = 0;
  double w_in = 1;
};

/// Options of the layer, and by what W (and R) of the neuron are to be multiplied to be the layer's.
struct AsSnu {
  SnuOptions options;
  double scale;
};
/// @param dt  s, above 0 and at most every time constant
/// @throws UsageError that names the parameter, also for v_reset other than v_leak: a unit's reset takes away all
AsSnu as_snu(const Lif& neuron, double dt);
AsSnu as_snu(const CubaLif& neuron, double dt);

/// The other way: the neuron that a unit is, whose weights stay as they are. tau = dt / (1 - d), r = tau / dt, and of a
/// synapse tau_syn = dt / (1 - α), w_in = tau_syn / dt.
/// @param decay, synapse  at least 0 and below 1: nothing else has a time constant. @throws UsageError
Lif as_lif(double decay, double threshold, double dt);
CubaLif as_cuba_lif(double decay, double threshold, double synapse, double dt);

}  // namespace grapes::nn
