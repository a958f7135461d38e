#pragma once

#include "grapes/kernels/workspace.h"
#include "grapes/nn/layer.h"
#include "grapes/nn/layers.h"
#include "grapes/nn/neuron.h"

#include <cstdint>
#include <string>

namespace grapes::nn {

struct SnuOptions {
  SnuRule rule;
  bool recurrent = false;  ///< with R
  double decay = 0.8;      ///< d, where it starts or stays
  enum class Decay { fixed, per_layer, per_node } learn_decay = Decay::fixed;
  double threshold = 1;  ///< θ, where it starts or stays
  double synapse = 0;    ///< α of a synaptic current c_t = α c_{t-1} + W x_t + R y_{t-1}; 0: none, 0 ... <1
  bool learn_threshold = true;
  bool eprop = false;         ///< the error does not run back in time through R (Bellec et al. 2020)
  std::int64_t truncate = 0;  ///< backwards through time, the state is cut off before steps k, 2k, ...; 0: never
  bool stateful = false;      ///< a call goes on from where the last one ended; see reset_state()
  bool plain = false;         ///< by the reference implementation, step by step
  enum class Inputs { measured, dense, spikes } inputs = Inputs::measured;  ///< of the fused path: see kernels/spikes.h
};

struct Readout;

/// What a layer did over all steps.
struct SnuTrace {
  at::Tensor output;    ///< y, [time, batch, node]
  at::Tensor membrane;  ///< s, [time, batch, node]
  SnuState last;        ///< after the last step, to start the next call from
};

/// A layer of neurons over time, [time, batch, in] -> [time, batch, unit], on numbers or on spikes packed by
/// kernels::pack, which take no error.
class SnuLayer final : public Layer {
 public:
  SnuLayer(SnuOptions options, bool compounding, kernels::WorkspacePtr workspace)
      : options_(std::move(options)), compounding_(compounding), workspace_(std::move(workspace)) {}

  void prepare(const Pass& pass, std::size_t number) override;
  /// y of all steps, or s where `readout` is of it. In evaluation the trace is kept.
  at::Tensor forward(at::Tensor h, const ErrorPath& path) const override;
  /// All steps. @param state  where to begin; undefined tensors: at_rest() @param mask  see SnuImpl::run
  SnuTrace run(at::Tensor x, SnuState state, const at::Tensor& mask, const ErrorPath& path) const;
  /// s = y = 0, and c = 0 where there is a synaptic current.
  SnuState at_rest(std::int64_t batch) const;
  bool fuses(const at::Tensor& h) const override;
  std::vector<Named> parameters() const override;
  at::Tensor responsibility(std::int64_t dim, const credit::Rule& rule, const at::Tensor* values) const override;
  const SnuOptions& options() const { return options_; }
  const SnuTrace& trace() const { return trace_; }  ///< of the last pass in evaluation, else without tensors

  // weight undefined: x is the current itself.
  at::Tensor recurrent;  ///< R, [unit, unit], or undefined
  at::Tensor decay;      ///< d, [1] or [unit]
  at::Tensor threshold;  ///< θ, [unit]
  bool once = false;     ///< nobody runs backwards twice: saves memory
  const Readout* readout = nullptr;

 protected:
  at::Tensor affine(const at::Tensor&) const override { return in_one(); }
  at::Tensor activation(const at::Tensor&) const override { return in_one(); }

 private:
  static at::Tensor in_one();
  bool local() const { return factors.rows.defined(); }
  const at::Tensor& factor() const { return local() ? factors.rows : factors.error; }
  SnuTrace plain(const at::Tensor& x, SnuState state, const at::Tensor& mask, const ErrorPath& path) const;
  SnuTrace fused(at::Tensor x, const SnuState& state, const at::Tensor& mask, const ErrorPath& path) const;

  SnuOptions options_;
  bool compounding_;  // see credit::Rule
  kernels::WorkspacePtr workspace_;
  at::Tensor present_;
  bool plain_ = false, keep_ = false;
  mutable SnuTrace trace_;
};

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
  /// @throws UsageError for a rule that cannot be
  SnuImpl(std::int64_t in, std::int64_t nodes, SnuOptions options = {}, Rule rule = {});
  void reset() override;

  at::Tensor forward(const at::Tensor& x) { return run(x).output; }
  /// @param x      [time, batch, in], of the weight's dtype
  /// @param state  where to begin; undefined tensors: s = y = 0 (stateful: where the last call ended)
  /// @param mask   [time, batch], bool; where it is false the state is held, y is 0 and no error enters. Or undefined
  SnuTrace run(const at::Tensor& x, SnuState state = {}, const at::Tensor& mask = {});
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
  SnuLayer layer_;
};
TORCH_MODULE(Snu);

/// Neurons on a current that other layers made, a convolution, say: conv on [time · batch, ...], and this on what comes
/// out of it. A node is a channel, with one threshold and decay for all its places. The modulation is the layer's
/// before it, whose error it is, once per step; what runs back in time is not scaled.
class NeuronsImpl : public torch::nn::Cloneable<NeuronsImpl> {
 public:
  /// @throws UsageError for a rule that cannot be, c10::Error for options that only a layer with weights has: recurrent
  explicit NeuronsImpl(std::int64_t nodes, SnuOptions options = {});
  void reset() override;
  /// @param current [time, batch, node, ...] @return y, of the same shape
  at::Tensor forward(const at::Tensor& current) { return run(current).output; }
  SnuTrace run(const at::Tensor& current, const at::Tensor& mask = {});

  at::Tensor decay;      ///< d, [1] or [node]
  at::Tensor threshold;  ///< θ, [node]

 private:
  std::int64_t nodes_;
  SnuOptions options_;
  kernels::WorkspacePtr workspace_;
};
TORCH_MODULE(Neurons);

}  // namespace grapes::nn
