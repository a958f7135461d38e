#pragma once

#include <ATen/core/Tensor.h>
#include <torch/arg.h>

#include <cstdint>
#include <string>

/// Spiking neurons as values: what is fixed (parameters), what changes (state), and one step of time. No step remembers
/// anything; layers over time are in nn/snu.h.
namespace grapes::nn {

/// The spiking neural unit (Woźniak et al. 2020, doi 10.1038/s42256-020-0187-0).
///   s_t = g(c_t + d · s_{t-1} ⊙ (1 - y_{t-1}))         reset hard
///   s_t = g(c_t + d · s_{t-1} (1 - max_n y_{t-1,n}))   reset lateral: whoever fires silences all
///   s_t = g(c_t + d · (s_{t-1} - θ ⊙ y_{t-1}))         reset subtract
///   s_t = g(c_t + d · s_{t-1})                         reset none
///   y_t = h(s_t - θ)
/// h the step (SNU), whose derivative is a surrogate, or the sigmoid (sSNU), which has its own.
/// The derivative of max is shared alike among the nodes that attain it.
///
/// | parameter | default | symbol | meaning                                             |
/// | decay     | 0.8     | d      | what is left of the membrane after a step, [] or [node] |
/// | threshold | 1       | θ      | per node, in the unit of the membrane               |
/// | membrane_activation | relu | g | identity, relu, leaky_relu (slope 0.1) |
/// | output    | step    | h      | step, sigmoid                                       |
/// | reset     | hard    |        | hard, subtract, none, lateral                       |
/// | surrogate | tanh    |        | tanh, sigmoid, fast_sigmoid, arctan, triangular, rectangular |
/// | surrogate_width | 1       |        | of the surrogate, in the unit of the membrane       |
struct SnuRule {
  std::string membrane_activation = "relu";  ///< g
  std::string output = "step";
  std::string reset = "hard";
  std::string surrogate = "tanh";
  double surrogate_width = 1;
  bool detach_reset = false;  ///< y_{t-1} in the reset is a constant to the derivative
};
/// @throws c10::ValueError that names the field and what it may be; surrogate_width must be above 0
void require_possible(const SnuRule& rule);

struct SnuParameters {
  at::Tensor decay;      ///< [1] or [node]
  at::Tensor threshold;  ///< [node]
};
struct SnuState {
  at::Tensor membrane;      ///< s, [batch, node]
  at::Tensor output;        ///< y, [batch, node]
  at::Tensor current = {};  ///< c, [batch, node], of neurons with a synaptic current; else undefined
  /// The same without a graph.
  SnuState detach() const;
};
/// One step. @param current  c_t, [batch, node] @return state, its output being y_t
SnuState step(const at::Tensor& current, const SnuState& before, const SnuParameters& parameters, const SnuRule& rule);

/// What a layer of such neurons is over time.
///
///     SnuOptions().recurrent(true).decay(0.95).rule({.membrane_activation = "leaky_relu"})
struct SnuOptions {
  enum class Decay { fixed, per_layer, per_node };
  enum class Inputs { measured, dense, spikes };

  TORCH_ARG(SnuRule, rule);
  /// With R.
  TORCH_ARG(bool, recurrent) = false;
  /// d, where it starts or stays.
  TORCH_ARG(double, decay) = 0.8;
  TORCH_ARG(Decay, learn_decay) = Decay::fixed;
  /// θ, where it starts or stays.
  TORCH_ARG(double, threshold) = 1;
  /// α of a synaptic current c_t = α c_{t-1} + W x_t + R y_{t-1}; 0: none, 0 ... <1.
  TORCH_ARG(double, synapse) = 0;
  TORCH_ARG(bool, learn_threshold) = true;
  /// The error does not run back in time through R (Bellec et al. 2020).
  TORCH_ARG(bool, eprop) = false;
  /// Backwards through time, the state is cut off before steps k, 2k, ...; 0: never.
  TORCH_ARG(std::int64_t, truncate) = 0;
  /// A call goes on from where the last one ended; see reset_state().
  TORCH_ARG(bool, stateful) = false;
  /// By the reference implementation, step by step.
  TORCH_ARG(bool, plain) = false;
  /// How the fused layer multiplies W by its inputs: as spikes if few enough of them are, always as numbers, or always
  /// as spikes.
  TORCH_ARG(Inputs, inputs) = Inputs::measured;
};

/// What a layer did over all steps.
struct SnuTrace {
  at::Tensor output;    ///< y, [time, batch, node]
  at::Tensor membrane;  ///< s, [time, batch, node]
  SnuState last;        ///< after the last step, to start the next call from
};

}  // namespace grapes::nn
