#pragma once

#include "grapes/nn/snu.h"

namespace grapes::nn {

/// Learns at every time step by e-prop, without keeping earlier time steps (Bellec et al. 2020, doi
/// 10.1038/s41467-020-17236-y). For each weight the layer carries an eligibility ε from step to step, and multiplies it
/// by the error of each step at once. Memory and time per step do not depend on the length of the sequence.
///   ε_t[b,n,i] = g'(s_t[b,n]) (x_t[b,i] + d_n ρ_{t-1}[b,n] ε_{t-1}[b,n,i])      reset hard: ρ_t = 1 - y_t
///   dL/dW[n,i] = m_n Σ_t Σ_b L_t[b,n] h'(s_t[b,n] - θ_n) ε_t[b,n,i]
/// R (with inputs y_{t-1}), d and θ have eligibilities of the same form. L_t is the error at y_t from the loss of step
/// t, by any route. The factors m are computed from the weights at the start of the sequence and scale W and R once.
/// The gradients equal those of a backward pass over all steps of a layer with `eprop` and `rule.detach_reset`; the
/// layer's own values of these two options are ignored. Online uses plain tensor operations. It costs more than that
/// backward pass, because of the eligibilities of shape [batch, unit, in].
///     Online online(layer);
///     for (const at::Tensor& x : steps) {
///       const at::Tensor y = online.forward(x);
///       online.learn(error_of(y));   // adds to layer->weight.grad() and the rest
///     }
class Online final {
 public:
  /// @param layer  shared, not copied; its route is ignored, because no error is sent below
  explicit Online(Snu layer) : layer_(std::move(layer)) {}

  /// Computes one step. The first step, and the first one after begin(), starts with s = y = 0.
  /// @param x [batch, in] @return y_t [batch, unit], without a graph
  at::Tensor forward(const at::Tensor& x);
  /// Adds the contribution of the error at the last step's output to the gradients.
  /// @param error  L_t, [batch, unit]
  void learn(const at::Tensor& error);
  /// Starts a new sequence with the next step.
  void begin() { past_ = {}; }
  std::int64_t bytes() const;  ///< size of the state that is carried from step to step

 private:
  struct Past {
    SnuState state;
    at::Tensor slope;                         ///< h'(s - θ), [batch, unit]
    at::Tensor input, recurrent;              ///< ε of W and R, [batch, unit, in or unit]
    at::Tensor input_trace, recurrent_trace;  ///< with a synaptic current: its parts from x and y, [batch, in or unit]
    at::Tensor decay, threshold;              ///< ε of d and θ, [batch, unit]
    at::Tensor factor;                        ///< m, from the weights at the start of the sequence; or undefined
  };

  Snu layer_;
  Past past_;
};

}  // namespace grapes::nn
