#pragma once

#include "grapes/nn/neuron.h"

/// Converts between leaky integrate-and-fire neurons with the parameters of NIR (Pedersen et al. 2024, doi
/// 10.1038/s41467-024-52259-9) and spiking neural units: steps of length dt, u = v - v_leak.
namespace grapes::nn {

/// tau dv/dt = (v_leak - v) + r i; if v > v_threshold: a spike, and v := v_reset
struct Lif {
  double tau = 0.02;  ///< s
  double r = 1;
  double v_leak = 0, v_threshold = 1, v_reset = 0;
};
/// The same with a synaptic current, tau_syn di/dt = -i + w_in x.
struct CubaLif {
  double tau_syn = 0.005, tau_mem = 0.02;  ///< s
  double r = 1;
  double v_leak = 0, v_threshold = 1, v_reset = 0;
  double w_in = 1;
};

/// How a decay with time constant tau becomes a step of length dt.
enum class Integrator {
  euler,  ///< d = 1 - dt / tau
  exact   ///< d = e^(-dt / tau): exact for a current that is constant during the step, which the synaptic current of a
          ///< CubaLif is not
};

/// Options of the layer, and the number by which the neuron's W (and R) must be multiplied for the layer.
struct AsSnu {
  SnuOptions options;
  double scale;
};
/// @param dt  s, above 0; with Integrator::euler at most every time constant
/// @throws UsageError with the parameter's name
AsSnu as_snu(const Lif& neuron, double dt, Integrator integrator = Integrator::euler);
AsSnu as_snu(const CubaLif& neuron, double dt, Integrator integrator = Integrator::euler);

/// The inverse: returns the neuron that equals a unit with the same weights. tau = dt / (1 - d), r = tau / dt; for a
/// synaptic current tau_syn = dt / (1 - α), w_in = tau_syn / dt.
/// @param decay, synapse  at least 0 and below 1, because other values have no time constant @throws UsageError
Lif as_lif(double decay, double threshold, double dt);
CubaLif as_cuba_lif(double decay, double threshold, double synapse, double dt);

}  // namespace grapes::nn
