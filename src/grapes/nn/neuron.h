#pragma once

#include <ATen/core/Tensor.h>
#include <torch/arg.h>

#include <cstdint>
#include <string>

/// Spiking neurons as plain values: parameters, state, and a function for one time step. nn/snu.h has layers over time.
namespace grapes::nn {

/// Options of the spiking neural unit (Woźniak et al. 2020, doi 10.1038/s42256-020-0187-0):
///   s_t = g(c_t + d · (s_{t-1} + (ρ - s_{t-1}) ⊙ y_{t-1}))   reset hard; with ρ = 0: d · s_{t-1} ⊙ (1 - y_{t-1})
///   s_t = g(c_t + d · s_{t-1} (1 - max_n y_{t-1,n}))   reset lateral: a spike of any unit resets all units
///   s_t = g(c_t + d · (s_{t-1} - θ ⊙ y_{t-1}))         reset subtract
///   s_t = g(c_t + d · s_{t-1})                         reset none
///   y_t = h(s_t - θ - β a_t)     a_t = λ a_{t-1} + y_{t-1}, only with adaptation (Bellec et al. 2018)
/// In the k refractory steps after a spike, the membrane stays as the reset left it, and y_t = 0. h is a step (SNU) or
/// a sigmoid (sSNU). The derivative of the step is replaced by a surrogate. The derivative of max is divided equally
/// among the units that attain it.
///
/// | parameter           | default | symbol | values or meaning                                            |
/// | decay               | 0.8     | d      | fraction of the membrane that remains after a step, [] or [unit] |
/// | threshold           | 1       | θ      | per unit, in units of the membrane                           |
/// | reset_value         | 0       | ρ      | the membrane after a hard reset, [1] or [unit]               |
/// | adaptation          | 0       | β      | what each earlier spike adds to the threshold, [1] or [unit] |
/// | adaptation_decay    | 0.95    | λ      | fraction of the adaptation that remains after a step, [1] or [unit] |
/// | refractory          | 0       | k      | time steps after a spike in which the current is ignored      |
/// | membrane_activation | relu    | g      | identity, relu, leaky_relu (slope 0.1)                       |
/// | output              | step    | h      | step, sigmoid                                                |
/// | reset               | hard    |        | hard, subtract, none, lateral                                |
/// | surrogate           | tanh    |        | tanh, sigmoid, fast_sigmoid, arctan, triangular, rectangular |
/// | surrogate_width     | 1       |        | width of the surrogate, in units of the membrane             |
struct SnuRule {
  std::string membrane_activation = "relu";  ///< g
  std::string output = "step";
  std::string reset = "hard";
  std::string surrogate = "tanh";
  double surrogate_width = 1;
  bool detach_reset = false;  ///< treat y_{t-1} in the reset as a constant in the backward pass
};
/// Checks the options. @throws c10::ValueError with the field and its valid values; surrogate_width must be above 0
void require_possible(const SnuRule& rule);
struct SnuOptions;
/// Also checks the options of the neurons; those of a layer's weights and time are not checked. @throws c10::ValueError
/// with the field and its valid range
void require_possible(const SnuOptions& options);

struct SnuParameters {
  at::Tensor decay;                  ///< d, [1] or [unit]
  at::Tensor threshold;              ///< θ, [unit]
  at::Tensor reset_value = {};       ///< ρ, [1] or [unit], of the hard reset; undefined: 0
  at::Tensor adaptation = {};        ///< β, [1] or [unit]; undefined: the threshold does not adapt
  at::Tensor adaptation_decay = {};  ///< λ, [1] or [unit]
  std::int64_t refractory = 0;       ///< k, of the output step
};
struct SnuState {
  at::Tensor membrane;      ///< s, [batch, unit]
  at::Tensor output;        ///< y, [batch, unit]
  at::Tensor current = {};  ///< c, [batch, unit], with a synaptic current; else undefined
  at::Tensor adapted = {};  ///< a, [batch, unit], with adaptation; else undefined
  at::Tensor quiet = {};    ///< number of refractory steps that are left, [batch, unit]; undefined: none
  /// Returns the state detached from its graph.
  SnuState detach() const;
};
/// Computes one time step. @param current  c_t, [batch, unit] @return the new state; its output is y_t
SnuState step(const at::Tensor& current, const SnuState& before, const SnuParameters& parameters, const SnuRule& rule);

/// Options of a layer of spiking neural units.
///
///     SnuOptions().recurrent(true).decay(0.95).rule({.membrane_activation = "leaky_relu"})
struct SnuOptions {
  enum class Decay { fixed, per_layer, per_node };
  enum class Inputs { measured, dense, spikes };

  TORCH_ARG(SnuRule, rule);
  /// Adds recurrent weights R.
  TORCH_ARG(bool, recurrent) = false;
  /// Initial value of d, or its fixed value.
  TORCH_ARG(double, decay) = 0.8;
  TORCH_ARG(Decay, learn_decay) = Decay::fixed;
  /// Initial value of θ, or its fixed value.
  TORCH_ARG(double, threshold) = 1;
  /// α of a synaptic current c_t = α c_{t-1} + W x_t + b + R y_{t-1}, in [0, 1). 0: no synaptic current.
  TORCH_ARG(double, synapse) = 0;
  TORCH_ARG(bool, learn_threshold) = true;
  /// The error does not run back in time through R (Bellec et al. 2020).
  TORCH_ARG(bool, eprop) = false;
  /// Truncated backpropagation through time: the backward pass is cut before steps k, 2k, ... 0: never.
  TORCH_ARG(std::int64_t, truncate) = 0;
  /// Each call continues from the state at the end of the last call, see reset_state().
  TORCH_ARG(bool, stateful) = false;
  /// Uses the reference implementation, step by step.
  TORCH_ARG(bool, plain) = false;
  /// How the fused layer multiplies W by its inputs: always as dense numbers, always as spikes, or as spikes if their
  /// measured density is low enough.
  TORCH_ARG(Inputs, inputs) = Inputs::measured;
  /// Adds a bias b to the current.
  TORCH_ARG(bool, bias) = false;
  /// ρ, the membrane after a hard reset.
  TORCH_ARG(double, reset_value) = 0;
  /// The synaptic decay is learned too, one per layer or unit as learn_decay says.
  TORCH_ARG(bool, learn_synapse) = false;
  /// k, the number of time steps after a spike in which a unit ignores its current.
  TORCH_ARG(std::int64_t, refractory) = 0;
  /// β of an adaptive threshold θ + β a_t, with a_t = λ a_{t-1} + y_{t-1}. 0: the threshold does not adapt.
  TORCH_ARG(double, adaptation) = 0;
  /// λ, in [0, 1).
  TORCH_ARG(double, adaptation_decay) = 0.95;
};

/// Outputs and states of a layer over all time steps.
struct SnuTrace {
  at::Tensor output;    ///< y, [time, batch, unit]
  at::Tensor membrane;  ///< s, [time, batch, unit]
  SnuState last;        ///< state after the last step; pass it to the next call to continue
};

}  // namespace grapes::nn
