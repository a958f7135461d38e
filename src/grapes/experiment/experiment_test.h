#pragma once

#include "grapes/base/error.h"

#include <map>
#include <string>

/// Shared by the tests of this module.
namespace grapes::experiment {

/// The message of the UsageError that an action throws.
template <class Action>
std::string refusal(const Action& action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "nothing was refused";
}

/// A value for every key that differs from its default.
inline const std::map<std::string, std::string>& other_values() {
  static const std::map<std::string, std::string> values = {// one line per key
                                                            {"data", "a \"quoted\" \\ name.csv"},
                                                            {"data-dir", "/data"},
                                                            {"validation-split", "0.25"},
                                                            {"test-split", "300"},
                                                            {"train-limit", "1000"},
                                                            {"test-limit", "500"},
                                                            {"order", "file"},
                                                            {"pad", "32"},
                                                            {"normalize", "standard"},
                                                            {"augment", "rotate=10"},
                                                            {"target", "price,größe"},
                                                            {"ignore", "id,3-5"},
                                                            {"columns", "2,width"},
                                                            {"missing", "most-common"},
                                                            {"delimiter", "semicolon"},
                                                            {"header", "no"},
                                                            {"decimal", "comma"},
                                                            {"encoding", "latin1"},
                                                            {"targets", "numbers"},
                                                            {"event-steps", "10"},
                                                            {"event-values", "counts"},
                                                            {"neuron", "lif"},
                                                            {"recurrent", "true"},
                                                            {"membrane-activation", "relu"},
                                                            {"membrane-decay", "0.7"},
                                                            {"learn-decay", "per-node"},
                                                            {"threshold", "0.5"},
                                                            {"learn-threshold", "false"},
                                                            {"synaptic-decay", "0.5"},
                                                            {"reset", "subtract"},
                                                            {"detach-reset", "true"},
                                                            {"surrogate", "arctan"},
                                                            {"surrogate-width", "0.5"},
                                                            {"tbptt-steps", "5"},
                                                            {"compounding", "true"},
                                                            {"spike-kernel", "dense"},
                                                            {"encoder", "latency"},
                                                            {"time-steps", "10"},
                                                            {"peak-rate", "0.5"},
                                                            {"readout", "max_membrane"},
                                                            {"patience", "3"},
                                                            {"download", "false"},
                                                            {"model", "mlp:32"},
                                                            {"activation", "tanh"},
                                                            {"output", "sigmoid"},
                                                            {"bias", "true"},
                                                            {"initializer", "xavier"},
                                                            {"feedback-initializer", "nokland"},
                                                            {"norm", "batch"},
                                                            {"recompute", "true"},
                                                            {"dropout", "0.1"},
                                                            {"dropout-in-evaluation", "true"},
                                                            {"precision", "float64"},
                                                            {"route", "dfa"},
                                                            {"modulation", "constant:1.85,1.79"},
                                                            {"responsibility", "outgoing"},
                                                            {"gain", "3"},
                                                            {"clip", "0.5,1.5"},
                                                            {"factor-bits", "2"},
                                                            {"analog", "soft-bounds:noise=2,imbalance=0.1"},
                                                            {"analog-real", "forward,update"},
                                                            {"analog-read", "dac-bits=8,adc-bits=0"},
                                                            {"analog-responsibility", "serial"},
                                                            {"analog-pulses", "10"},
                                                            {"analog-share", "0.5"},
                                                            {"analog-drift", "1000"},
                                                            {"factors-every", "10"},
                                                            {"optimizer", "adam"},
                                                            {"learning-rate", "0.001"},
                                                            {"momentum", "0.5"},
                                                            {"rho", "0.95"},
                                                            {"beta1", "0.8"},
                                                            {"beta2", "0.99"},
                                                            {"epsilon", "1e-07"},
                                                            {"weight-decay", "1e-05"},
                                                            {"schedule", "step:30,0.1"},
                                                            {"warm-up", "0.5"},
                                                            {"epochs", "3"},
                                                            {"batch-size", "15"},
                                                            {"loss", "mse"},
                                                            {"seed", "7"},
                                                            {"checkpoint-every", "5"},
                                                            {"evaluate-every", "2"},
                                                            {"record-alignment", "true"},
                                                            {"arm-name", "mine"},
                                                            {"arms", "bp,constant:1.85,1.79,fa+grapes"},
                                                            {"seeds", "10"},
                                                            {"tune", "true"},
                                                            {"grid", "0.01,0.1"},
                                                            {"tune-epochs", "2"},
                                                            {"tune-seeds", "3"},
                                                            {"target-score", "0.9"},
                                                            {"sweep", "factor-bits={}"},
                                                            {"sweep-values", "0,2,4"},
                                                            {"first-sample-mask", "true"},
                                                            {"single-factor", "true"},
                                                            {"unmasked-first", "true"},
                                                            {"factors-at-rest", "true"},
                                                            {"carry-remainder", "true"},
                                                            {"scenario", "permuted"},
                                                            {"tasks", "10"},
                                                            {"manifest", "tasks.json"},
                                                            {"optimizer-state", "kept"},
                                                            {"curve-points", "3"},
                                                            {"curve-examples", "200"},
                                                            {"method", "ewc"},
                                                            {"ewc-strength", "20"},
                                                            {"fisher-examples", "50"},
                                                            {"si-strength", "2"},
                                                            {"si-damping", "0.01"},
                                                            {"lwf-strength", "0.5"},
                                                            {"lwf-temperature", "3"},
                                                            {"replay-buffer", "500"},
                                                            {"device", "cuda:1"},
                                                            {"threads", "2"},
                                                            {"jobs", "4"}};
  return values;
}

}  // namespace grapes::experiment
