#pragma once

#include "grapes/nn/snu.h"

namespace grapes::nn {

/// Learning without unrolling: e-prop (Bellec et al. 2020, doi 10.1038/s41467-020-17236-y) forwards in time. What a
/// layer must remember of its past is an eligibility per synapse, carried from step to step; the error of a step meets
/// it at once. Neither memory nor the time of a step grows with the length of the sequence.
///   ε_t[b,n,i] = g'(s_t[b,n]) (x_t[b,i] + d_n ρ_{t-1}[b,n] ε_{t-1}[b,n,i])    ρ what the reset leaves: hard 1 -
///   y_{t-1} dL/dW[n,i] = m_n Σ_t Σ_b L_t[b,n] h'(s_t[b,n] - θ_n) ε_t[b,n,i]           likewise R, of y_{t-1}; d; θ
/// L_t is the error at y_t that the answer of step t sends, by whatever way; m, of the weights as the sequence began,
/// stands on W and R, once. The gradients are those of a layer with `eprop` and `rule.detach_reset`, whatever the
/// layer's own options say of these two, that runs backwards through all steps; of plain tensor operations, and dearer
/// than that by the eligibilities' [batch, node, in].
///
///     Online online(layer);
///     for (const at::Tensor& x : steps) {
///       const at::Tensor y = online.forward(x);
///       online.learn(error_of(y));   // adds to layer->weight.grad() and the rest
///     }
class Online final {
 public:
  /// @param layer  held; its route does not matter, for no error goes below
  explicit Online(Snu layer) : layer_(std::move(layer)) {}

  /// One step. The first one, or the first after begin(), starts with s = y = 0.
  /// @param x [batch, in] @return y_t [batch, node], without a graph
  at::Tensor forward(const at::Tensor& x);
  /// Add to the gradients what the error at the last step's output says.
  /// @param error  L_t, [batch, node]
  void learn(const at::Tensor& error);
  /// The next step is the first of a sequence.
  void begin() { past_ = {}; }
  std::int64_t bytes() const;  ///< of what is carried from step to step

 private:
  struct Past {
    SnuState state;
    at::Tensor slope;                         ///< h'(s - θ), [batch, node]
    at::Tensor input, recurrent;              ///< ε of W and R, [batch, node, in or node]
    at::Tensor input_trace, recurrent_trace;  ///< of a synaptic current: what it holds of x and y, [batch, in or node]
    at::Tensor decay, threshold;              ///< ε of d and θ, [batch, node]
    at::Tensor factor;                        ///< m of the sequence, of the weights as it began; or undefined
  };

  Snu layer_;
  Past past_;
};

}  // namespace grapes::nn
