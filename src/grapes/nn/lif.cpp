#include "grapes/nn/lif.h"

#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/nn/spiking.h"

#include <cmath>

namespace grapes::nn {
namespace {

/// Fraction that remains after dt, for a decay with time constant tau.
double left_after(double dt, double tau, const char* name, Integrator integrator) {
  if (integrator == Integrator::exact && dt > 0 && tau > 0) return std::exp(-dt / tau);
  if (!(dt > 0 && tau >= dt))
    throw UsageError(std::string(name) + " must be at least dt, and dt above 0; got " + name + " = " + shortest(tau) +
                     " and dt = " + shortest(dt));
  return 1 - dt / tau;
}

/// Returns dt / tau for a decay of which the fraction `left` remains after dt.
double lost(double left, const char* name) {
  if (!(left >= 0 && left < 1))
    throw UsageError(std::string(name) + " must be at least 0 and below 1 to have a time constant; got " +
                     shortest(left));
  return 1 - left;
}

/// The current's scale in a step: 1 - d, which in Euler steps is dt / tau without rounding.
double gained(double dt, double tau, double left, Integrator integrator) {
  return integrator == Integrator::euler ? dt / tau : 1 - left;
}

AsSnu membrane(double tau, const char* name, double r, double v_leak, double v_threshold, double v_reset, double dt,
               Integrator integrator) {
  AsSnu as;
  as.options.rule().membrane_activation = "identity";
  as.options.decay(left_after(dt, tau, name, integrator));
  as.options.reset_value(v_reset - v_leak);
  as.options.threshold(v_threshold - v_leak);
  as.options.learn_threshold(false);
  as.scale = r * gained(dt, tau, as.options.decay(), integrator);
  return as;
}

}  // namespace

AsSnu as_snu(const Lif& n, double dt, Integrator integrator) {
  return membrane(n.tau, "tau", n.r, n.v_leak, n.v_threshold, n.v_reset, dt, integrator);
}

AsSnu as_snu(const CubaLif& n, double dt, Integrator integrator) {
  AsSnu as = membrane(n.tau_mem, "tau_mem", n.r, n.v_leak, n.v_threshold, n.v_reset, dt, integrator);
  as.options.synapse(left_after(dt, n.tau_syn, "tau_syn", integrator));
  as.scale *= n.w_in * gained(dt, n.tau_syn, as.options.synapse(), integrator);
  return as;
}

Lif as_lif(double decay, double threshold, double dt) {
  const double part = lost(decay, "decay");
  return {dt / part, 1 / part, 0, threshold, 0};
}

CubaLif as_cuba_lif(double decay, double threshold, double synapse, double dt) {
  const double part = lost(decay, "decay"), of_synapse = lost(synapse, "synapse");
  return {dt / of_synapse, dt / part, 1 / part, 0, threshold, 0, 1 / of_synapse};
}

const std::vector<NeuronRow>& neurons() {
  using Options = SnuOptions;
  using Settings = SpikingOptions;
  static const std::vector<NeuronRow> rows = {
      {"snu", "spiking neural unit, y = step(s - θ) (Woźniak et al. 2020)", [](Options&, const Settings&) {}},
      {"ssnu", "soft spiking neural unit, y = sigmoid(s - θ) (Woźniak et al. 2020)",
       [](Options& o, const Settings&) { o.rule().output = "sigmoid"; }},
      {"lif", "leaky integrate and fire: snu with the identity as membrane activation",
       [](Options& o, const Settings&) { o.rule().membrane_activation = "identity"; }},
      {"if", "integrate and fire: lif without a leak (d = 1)",
       [](Options& o, const Settings& settings) {
         if (settings.learn_decay != SnuOptions::Decay::fixed)
           throw UsageError("learn-decay", "must be none with neuron if, which has no leak; use lif");
         o.decay(1);
         o.rule().membrane_activation = "identity";
       }},
      {"alif",
       "adaptive leaky integrate and fire: each spike raises the threshold by `adaptation`, which fades by "
       "`adaptation-decay` in a time step (Bellec et al. 2018)",
       [](Options& o, const Settings& settings) {
         o.adaptation(settings.adaptation);
         o.adaptation_decay(settings.adaptation_decay);
         o.rule().membrane_activation = "identity";
       }},
      {"cuba-lif",
       "leaky integrate and fire with a synaptic current, c_t = synaptic-decay · c_{t-1} + W x_t + R y_{t-1}",
       [](Options& o, const Settings& settings) {
         o.synapse(settings.synapse);
         o.learn_synapse(settings.learn_synapse);
         o.rule().membrane_activation = "identity";
       }},
  };
  return rows;
}

SnuOptions neurons_of(const SpikingOptions& options) {
  SnuOptions neurons;
  neurons.rule() = {options.membrane_activation, "step", options.reset, options.surrogate, options.surrogate_width,
                    options.detach_reset};
  neurons.recurrent(options.recurrent);
  neurons.decay(options.decay);
  neurons.learn_decay(options.learn_decay);
  neurons.threshold(options.threshold);
  neurons.learn_threshold(options.learn_threshold);
  neurons.refractory(options.refractory);
  neurons.reset_value(options.reset_value);
  neurons.truncate(options.truncate);
  neurons.inputs(options.products);
  find_row(nn::neurons(), "neuron", options.neuron).decide(neurons, options);
  require_possible(neurons);
  return neurons;
}

}  // namespace grapes::nn
