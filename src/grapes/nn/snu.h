#pragma once

#include "grapes/nn/layers.h"
#include "grapes/nn/neuron.h"

#include <cstdint>
#include <memory>

namespace grapes::kernels {
class Workspace;
}

namespace grapes::nn {

class SnuLayer;

/// A layer of spiking neural units over time: c_t = W x_t + b + R y_{t-1}, then nn::step. r sums W and R.
///
/// At each time step the factor scales the error at the current c_t once, for the gradients of W, b and R and
/// for the error at x. The error that runs back in time, through d s_{t-1} and through R to y_{t-1}, is not scaled,
/// because its factors would compound.
///   δ_t = ∂L/∂c_t     dL/dW = Σ_t (m ⊙ δ_t)ᵀ x_t     dL/dR = Σ_t (m ⊙ δ_t)ᵀ y_{t-1}     dL/dx_t = Wᵀ (m ⊙ δ_t)
///                     dL/db = Σ_t m ⊙ δ_t
/// Thresholds and decays learn from δ_t without factors.
/// - Synaptic current, c_t = α c_{t-1} + W x_t + b + R y_{t-1}: δ_t is the error at the terms after α c_{t-1}. The
///   error that runs back through α c_{t-1} is not scaled either.
/// - e-prop: no error runs back through R. With detach_reset the gradient equals that of the eligibility traces of
///   Bellec et al. (doi 10.1038/s41467-020-17236-y).
/// - Routes: they change only the error at x. fa sends B (m ⊙ δ_t) at every step. dfa sends nothing, and DirectFeedback
///   sends y_t the output's error of the same step. Back in time the error is exact on every route.
class SnuImpl : public torch::nn::Cloneable<SnuImpl>, public Routed {
 public:
  /// @throws c10::ValueError for an invalid rule or option
  SnuImpl(std::int64_t in, std::int64_t nodes, SnuOptions options = {}, Rule rule = {});
  void reset() override;

  at::Tensor forward(const at::Tensor& x) { return run(x).output; }
  /// Runs all time steps.
  /// @param x        [time, batch, in], dtype of the weight
  /// @param state    initial state; if undefined, s = y = 0, or for a stateful layer the state after the last call
  /// @param present  [time, batch], bool; where it is false the state is kept, y is 0 and no error enters. Undefined:
  ///   all true
  SnuTrace run(const at::Tensor& x, SnuState state = {}, const at::Tensor& present = {});
  /// Resets a stateful layer: s = y = 0, and no synaptic current, adaptation or refractory steps are left.
  void reset_state() { carried_ = {}; }
  at::Tensor factor() const { return Routed::factor(recurrent); }
  const SnuOptions& options() const { return options_; }

  at::Tensor recurrent;  ///< R, [unit, unit], or undefined
  // As in SnuLayer; synapse is undefined unless it is learned or each unit was given its own.
  at::Tensor decay, threshold, synapse, reset_value, adaptation, adaptation_decay;

 private:
  std::int64_t in_, nodes_;
  SnuOptions options_;
  SnuState carried_;
  std::shared_ptr<SnuLayer> layer_;
};
TORCH_MODULE(Snu);

/// Spiking neurons on a current that another layer computes. For a convolution, apply it to [time · batch, ...] and
/// pass its output here. A unit is a channel and has one threshold and one decay for all positions. The modulation of
/// the layer below scales the error once per time step; the error that runs back in time is not scaled.
class NeuronsImpl : public torch::nn::Cloneable<NeuronsImpl> {
 public:
  /// @throws c10::ValueError for an invalid rule; c10::Error for the options `recurrent` and `bias`, which need
  /// a layer with weights
  explicit NeuronsImpl(std::int64_t nodes, SnuOptions options = {});
  void reset() override;
  /// @param current  [time, batch, unit, ...] @return y, same shape
  at::Tensor forward(const at::Tensor& current) { return run(current).output; }
  /// Runs all time steps. @param current, present  as in forward() and SnuImpl::run() @return output and membrane in
  /// the shape of the current @throws c10::Error for another number of units
  SnuTrace run(const at::Tensor& current, const at::Tensor& present = {});
  /// Resets stateful neurons as SnuImpl::reset_state() does.
  void reset_state() { carried_ = {}; }

  // As in SnuImpl.
  at::Tensor decay, threshold, synapse, reset_value, adaptation, adaptation_decay;

 private:
  std::int64_t nodes_;
  SnuOptions options_;
  SnuState carried_;
  std::shared_ptr<kernels::Workspace> workspace_;
};
TORCH_MODULE(Neurons);

}  // namespace grapes::nn
