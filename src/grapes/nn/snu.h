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

/// A layer of spiking neural units over time: c_t = W x_t + R y_{t-1}, then nn::step. x [time, batch, in] -> y [time,
/// batch, node].
/// The error at the current c_t is scaled by the node's factor once per layer and step on its way to W, R and, by the
/// route, to x. What runs back in time, through d s_{t-1} and through R to y_{t-1}, is not: it would compound.
///   δ_t = ∂L/∂c_t     dL/dW = Σ_t (m ⊙ δ_t)ᵀ x_t     dL/dR = Σ_t (m ⊙ δ_t)ᵀ y_{t-1}     dL/dx_t = Wᵀ (m ⊙ δ_t)
/// With a synaptic current, c_t = α c_{t-1} + W x_t + R y_{t-1}, δ_t is the error at W x_t + R y_{t-1}, and what runs
/// back in time through α c_{t-1} is not scaled either. e-prop leaves out what runs back through R; with detach_reset
/// it is the eligibility trace of Bellec et al. (doi 10.1038/s41467-020-17236-y), summed backwards. Thresholds and
/// decays learn from δ_t unscaled. r sums W and R. Routes change only the way to x; through time the error runs back
/// exactly on every route: fa sends B (m ⊙ δ_t) at every step, dfa nothing, so that DirectFeedback brings y_t the
/// output's error of the same step.
class SnuImpl : public torch::nn::Cloneable<SnuImpl>, public Routed {
 public:
  /// @throws c10::ValueError for a rule that cannot be
  SnuImpl(std::int64_t in, std::int64_t nodes, SnuOptions options = {}, Rule rule = {});
  void reset() override;

  at::Tensor forward(const at::Tensor& x) { return run(x).output; }
  /// @param x        [time, batch, in], of the weight's dtype
  /// @param state    where to begin; undefined tensors: s = y = 0 (stateful: where the last call ended)
  /// @param present  [time, batch], bool, steps that are there; where it is false the state is held, y is 0 and no
  /// error enters. Or undefined
  SnuTrace run(const at::Tensor& x, SnuState state = {}, const at::Tensor& present = {});
  /// Stateful layers begin anew: s = y = 0.
  void reset_state() { carried_ = {}; }
  at::Tensor factor() const { return Routed::factor(recurrent); }
  const SnuOptions& options() const { return options_; }

  at::Tensor recurrent;  ///< R, [node, node], or undefined
  at::Tensor decay;      ///< d, [1] or [node]
  at::Tensor threshold;  ///< θ, [node]

 private:
  std::int64_t in_, nodes_;
  SnuOptions options_;
  SnuState carried_;
  std::shared_ptr<SnuLayer> layer_;
};
TORCH_MODULE(Snu);

/// Neurons on a current that other layers made, a convolution, say: conv on [time · batch, ...], and this on what comes
/// out of it. A node is a channel, with one threshold and decay for all its places. The modulation is the layer's
/// before it, whose error it is, once per step; what runs back in time is not scaled.
class NeuronsImpl : public torch::nn::Cloneable<NeuronsImpl> {
 public:
  /// @throws c10::ValueError for a rule that cannot be, c10::Error for options that only a layer with weights has:
  /// recurrent
  explicit NeuronsImpl(std::int64_t nodes, SnuOptions options = {});
  void reset() override;
  /// @param current [time, batch, node, ...] @return y, of the same shape
  at::Tensor forward(const at::Tensor& current) { return run(current).output; }
  SnuTrace run(const at::Tensor& current, const at::Tensor& present = {});

  at::Tensor decay;      ///< d, [1] or [node]
  at::Tensor threshold;  ///< θ, [node]

 private:
  std::int64_t nodes_;
  SnuOptions options_;
  std::shared_ptr<kernels::Workspace> workspace_;
};
TORCH_MODULE(Neurons);

}  // namespace grapes::nn
