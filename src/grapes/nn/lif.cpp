#include "grapes/nn/lif.h"

#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/nn/spiking.h"

namespace grapes::nn {
namespace {

/// Fraction that remains after dt, for a decay with time constant tau.
double left_after(double dt, double tau, const char* name) {
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

AsSnu membrane(double tau, const char* name, double r, double v_leak, double v_threshold, double v_reset, double dt) {
  if (v_reset != v_leak)
    throw UsageError(
        "v_reset must equal v_leak, because the reset of a spiking neural unit sets the membrane to rest; got " +
        shortest(v_reset) + " and " + shortest(v_leak));
  AsSnu as;
  as.options.rule().membrane_activation = "identity";
  as.options.decay(left_after(dt, tau, name));
  as.options.threshold(v_threshold - v_leak);
  as.options.learn_threshold(false);
  as.scale = r * dt / tau;
  return as;
}

}  // namespace

AsSnu as_snu(const Lif& n, double dt) { return membrane(n.tau, "tau", n.r, n.v_leak, n.v_threshold, n.v_reset, dt); }

AsSnu as_snu(const CubaLif& n, double dt) {
  AsSnu as = membrane(n.tau_mem, "tau_mem", n.r, n.v_leak, n.v_threshold, n.v_reset, dt);
  as.options.synapse(left_after(dt, n.tau_syn, "tau_syn"));
  as.scale *= n.w_in * dt / n.tau_syn;
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
  static const std::vector<NeuronRow> rows = {
      {"snu", "spiking neural unit, y = step(s - θ) (Woźniak et al. 2020)", [](SnuOptions& o) { o.synapse(0); }},
      {"ssnu", "soft spiking neural unit, y = sigmoid(s - θ) (Woźniak et al. 2020)",
       [](SnuOptions& o) {
         o.synapse(0);
         o.rule().output = "sigmoid";
       }},
      {"lif", "leaky integrate and fire: snu with the identity as membrane activation",
       [](SnuOptions& o) {
         o.synapse(0);
         o.rule().membrane_activation = "identity";
       }},
      {"cuba-lif",
       "leaky integrate and fire with a synaptic current, c_t = synaptic-decay · c_{t-1} + W x_t + R y_{t-1}",
       [](SnuOptions& o) { o.rule().membrane_activation = "identity"; }},
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
  neurons.synapse(options.synapse);
  neurons.truncate(options.truncate);
  neurons.inputs(options.products);
  find_row(nn::neurons(), "neuron", options.neuron).decide(neurons);
  require_possible(neurons.rule());
  return neurons;
}

}  // namespace grapes::nn
