#pragma once

#include "grapes/kernels/workspace.h"
#include "grapes/nn/layer.h"
#include "grapes/nn/neuron.h"

namespace grapes::nn {

struct Readout;

/// A layer of spiking neurons over time, [time, batch, in] -> [time, batch, unit]. Inputs are dense numbers, or spikes
/// packed by kernels::pack, which receive no error.
class SnuLayer final : public Layer {
 public:
  SnuLayer(SnuOptions options, bool compounding, kernels::WorkspacePtr workspace)
      : options_(std::move(options)), compounding_(compounding), workspace_(std::move(workspace)) {}

  void prepare(const Pass& pass, std::size_t number) override;
  /// Returns y of all steps, or s if the readout uses the membrane. In evaluation the trace is kept.
  at::Tensor forward(at::Tensor h, const ErrorPath& path) const override;
  /// Runs all steps. @param state  initial state; undefined tensors: at_rest() @param present  see SnuImpl::run
  SnuTrace run(at::Tensor x, SnuState state, const at::Tensor& present, const ErrorPath& path) const;
  /// Runs neurons without weights on a current [time, batch, channel, ...], which may be a map in blocks of channels
  /// (kernels/convolution.h). Constants are per channel or per value. The trace has the layout of the current.
  SnuTrace on_map(at::Tensor current, const SnuState& state, const at::Tensor& present) const;
  /// The same, with the present time steps of the pass; returns y. In evaluation the trace is kept, flat and by
  /// channel.
  at::Tensor fire(at::Tensor current) const;
  /// Returns the state s = y = 0, and c = 0 with a synaptic current.
  SnuState at_rest(std::int64_t batch) const;
  bool fuses(const at::Tensor& h) const override;
  std::vector<Named> parameters() const override;
  std::vector<Named> buffers() const override;
  /// Makes decay, threshold, synapse, reset_value and adaptation from the options. @param own  per unit, see
  /// own_constants
  void add_constants(std::int64_t nodes, const at::TensorOptions& placed, bool own);
  at::Tensor responsibility(std::int64_t dim, const credit::Rule& rule, const at::Tensor* values) const override;
  const SnuOptions& options() const { return options_; }
  const SnuTrace& trace() const { return trace_; }  ///< of the last evaluation pass; undefined tensors after training

  // If weight is undefined, x is the current itself.
  at::Tensor recurrent;                     ///< R, [unit, unit], or undefined
  at::Tensor decay;                         ///< d, [1] or [unit]
  at::Tensor threshold;                     ///< θ, [unit]
  at::Tensor synapse;                       ///< α, [1] or [unit], or undefined
  at::Tensor reset_value;                   ///< ρ, [1] or [unit], or undefined: 0
  at::Tensor adaptation, adaptation_decay;  ///< β and λ, [1] or [unit], or undefined
  bool own_constants = false;               ///< constants that do not learn are buffers, because units have their own
  bool once = false;                        ///< the graph runs backward only once, which saves memory
  const Readout* readout = nullptr;

 protected:
  at::Tensor affine(const at::Tensor&) const override { return in_one(); }
  at::Tensor activation(const at::Tensor&) const override { return in_one(); }

 private:
  static at::Tensor in_one();
  std::vector<Named> constants() const;
  bool local() const { return factors.rows.defined(); }
  const at::Tensor& factor() const { return local() ? factors.rows : factors.error; }
  SnuTrace plain(const at::Tensor& x, SnuState state, const at::Tensor& present, const ErrorPath& path) const;
  SnuTrace fused(at::Tensor x, const SnuState& state, const at::Tensor& present, const ErrorPath& path) const;

  SnuOptions options_;
  bool compounding_;  // see credit::Rule
  kernels::WorkspacePtr workspace_;
  at::Tensor present_;
  bool plain_ = false, keep_ = false;
  mutable SnuTrace trace_;
};

}  // namespace grapes::nn
