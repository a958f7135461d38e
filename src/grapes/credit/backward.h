#pragma once

#include "grapes/credit/attachment.h"
#include "grapes/credit/rule.h"

#include <ATen/core/Tensor.h>
#include <torch/arg.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace torch::nn {
class Module;
}
namespace torch::jit {
struct Module;
}

/// GRAPES for an existing model. The model's forward pass, state and optimizer stay unchanged.
namespace grapes {

/// Options of Modulator and backward(). A layer is named by its module ("encoder.0"), a parent module ("encoder"), its
/// weight ("encoder.0.weight"), or a shell pattern of such a name ("*.0"). Python uses the same names.
///
///     BackwardOptions().rule({.gain = 3}).exclude({"encoder.*"})
struct BackwardOptions {
  /* implicit */ BackwardOptions(Rule rule = {}) : rule_(std::move(rule)) {}

  /// The learning rule. Its route must be bp; its responsibility may be incoming or input.
  TORCH_ARG(Rule, rule);
  /// Modulates only these layers, even if they look like output layers. Empty: all layers except the output.
  TORCH_ARG(std::vector<std::string>, include);
  /// Does not modulate these layers.
  TORCH_ARG(std::vector<std::string>, exclude);
  /// Output layers, which are not modulated. Empty: found in the graph.
  TORCH_ARG(std::vector<std::string>, output);
  /// Layers with the local version: their own gradient is scaled, the error that they pass on is not. Use it for the
  /// recurrent weight of a recurrence that you wrote step by step. Otherwise the error would be scaled again at every
  /// time step.
  TORCH_ARG(std::vector<std::string>, local);
  /// Warns once, by TORCH_WARN, about weights that are not modulated.
  TORCH_ARG(bool, warn) = true;
};

/// Runs loss.backward() and scales the error at every hidden unit by the unit's factor:
///   δ^l = m^l ⊙ [W^{l+1}ᵀ δ^{l+1}] ⊙ φ'(z^l),  m = clip(2 r / max r, 1, 2), r_n = Σ_i |W_ni|
///                                                                             Dellaferrera et al. 2022
/// Modulator searches the graph of the loss for the operation that multiplies by each weight and scales the error that
/// arrives there. Values, parameters and calls of plain loss.backward() are unaffected.
/// - Supported operations: at::linear, mm, addmm and mv, with the weight as first or second argument, transposed or
///   not; convolutions of any rank, grouped or transposed, with one factor per output channel.
/// - A weight that is used several times is modulated at each use. The output layer is never modulated. It consists of
///   the uses that the loss reaches without crossing another layer.
/// - A frozen layer scales the error that passes through it like any other layer. Under autocast frozen weights are not
///   found, because autocast computes with a copy.
/// - RNN, LSTM, GRU and their cells are recognized by PyTorch's parameter names. r sums W and R, over all gates of a
///   unit. W x_t takes the propagating version and R y_{t-1} the local one, so that the error is not scaled again at
///   every time step. Each layer and direction of an RNN is a layer of its own.
/// - Gradients accumulate as usual. With a retained graph nothing is scaled twice, and nothing is scaled outside this
///   call.
///
/// A Modulator must not be used from several threads at the same time. For its cost see docs/performance.md.
class Modulator {
 public:
  /// @throws c10::ValueError for an invalid option; c10::Error if a name matches no layer, or the model has no layers
  explicit Modulator(const torch::nn::Module& model, BackwardOptions options = {});
  /// Takes a TorchScript model. The graph optimizer fuses layers into one node, so switch it off before the model's
  /// first forward pass: torch::jit::setGraphExecutorOptimize(false).
  explicit Modulator(const torch::jit::Module& model, BackwardOptions options = {});
  /// Takes named tensors. @param model  pairs of name and parameter
  explicit Modulator(const std::vector<std::pair<std::string, at::Tensor>>& model, BackwardOptions options = {});
  ~Modulator();
  Modulator(Modulator&&) noexcept;
  Modulator& operator=(Modulator&&) noexcept;

  /// Replaces loss.backward(gradient, retain_graph).
  /// @param loss      a scalar, or a tensor of the shape of `gradient`
  /// @throws c10::ValueError with the layer's name if a weight is not finite; c10::Error if `loss` has no graph, or if
  ///   a fused TorchScript graph hides its layers
  void backward(const at::Tensor& loss, const at::Tensor& gradient = {}, bool retain_graph = false);

  /// What the last backward pass did to each layer, in the model's order. Before the first pass all layers are
  /// unmatched.
  const std::vector<Attachment>& attachments() const;
  /// The same as a table, see grapes::describe().
  std::string describe() const;

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// Calls Modulator(model, options).backward(loss). Replaces loss.backward(). It warns once per process.
/// @throws as Modulator; also c10::Error for `shuffled` or every > 1, which need a Modulator that remembers earlier
///   batches
void backward(const at::Tensor& loss, const torch::nn::Module& model, const BackwardOptions& options = {});
void backward(const at::Tensor& loss, const torch::jit::Module& model, const BackwardOptions& options = {});

}  // namespace grapes
