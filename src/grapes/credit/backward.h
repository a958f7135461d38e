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

/// GRAPES for a model that somebody else wrote: its forward pass, its state and its optimizer stay as they are.
namespace grapes {

/// A layer is named by its module ("encoder.0"), by a module that it lies in ("encoder"), by a weight of it
/// ("encoder.0.weight"), or by a shell pattern of such a name ("*.0"), here and in Python.
///
///     BackwardOptions().rule({.gain = 3}).exclude({"encoder.*"})
struct BackwardOptions {
  /* implicit */ BackwardOptions(Rule rule = {}) : rule_(std::move(rule)) {}

  /// On the route bp; responsibility: incoming, or input.
  TORCH_ARG(Rule, rule);
  /// Only these, even if they look like output layers; none: all but the output.
  TORCH_ARG(std::vector<std::string>, include);
  /// But not these.
  TORCH_ARG(std::vector<std::string>, exclude);
  /// The output layers, which are left out; none: found in the graph.
  TORCH_ARG(std::vector<std::string>, output);
  /// These get the local version: their own gradient is scaled, the error passes through them unscaled. For the
  /// recurrent weight of a hand-written recurrence, which else would compound its factors over time.
  TORCH_ARG(std::vector<std::string>, local);
  /// Say by TORCH_WARN, once, which weights are not modulated.
  TORCH_ARG(bool, warn) = true;
};

/// Runs loss.backward() so that the error at every hidden unit is scaled by the unit's factor:
///   δ^l = m^l ⊙ [W^{l+1}ᵀ δ^{l+1}] ⊙ φ'(a^l),  m = clip(2 r / max r, 1, 2), r_n = Σ_i |W_ni|
///                                                                             Dellaferrera et al. 2022
/// It finds, in the graph of the loss, the operation that multiplies by each weight and scales the error that arrives
/// there; values, parameters and plain loss.backward() are not touched. Found are at::linear, mm, addmm and mv with the
/// weight on either side, transposed or not, and convolutions of any rank, grouped or transposed (per output channel).
/// A weight with several uses is modulated in each; the output layer, that is every use which the loss reaches without
/// crossing another, in none. A frozen layer does not learn, and scales the error that passes through it like any other
/// (under autocast a frozen weight is not found: autocast computes with a copy).
/// RNN, LSTM, GRU and their cells, by PyTorch's names: r sums W and R and all gates of a unit; W x_t takes the
/// propagating version, R y_{t-1} the local one, so nothing compounds over time. Each layer and direction is a layer of
/// its own. Gradients add up and retained graphs are right: nothing is scaled twice, and only inside this call. Not for
/// several threads at a time. Cost: docs/performance.md.
class Modulator {
 public:
  /// @throws c10::ValueError if an option cannot be, c10::Error if a name means no layer, or there is none
  explicit Modulator(const torch::nn::Module& model, BackwardOptions options = {});
  /// A TorchScript model. It has to run without the graph optimizer, which fuses layers into one node:
  /// torch::jit::setGraphExecutorOptimize(false) before its first forward pass.
  explicit Modulator(const torch::jit::Module& model, BackwardOptions options = {});
  /// Any named tensors. @param model  (name, parameter)
  explicit Modulator(const std::vector<std::pair<std::string, at::Tensor>>& model, BackwardOptions options = {});
  ~Modulator();
  Modulator(Modulator&&) noexcept;
  Modulator& operator=(Modulator&&) noexcept;

  /// In place of loss.backward(gradient, retain_graph).
  /// @param loss      a number, or anything with `gradient` of its shape
  /// @throws c10::ValueError naming the layer, if a weight is not finite; c10::Error if `loss` has no graph, or the
  ///         graph is one of TorchScript's that hides its layers
  void backward(const at::Tensor& loss, const at::Tensor& gradient = {}, bool retain_graph = false);

  /// What became of each layer in the last backward pass, in the model's order; before the first one all are unmatched.
  const std::vector<Attachment>& attachments() const;
  /// The same as a table, see grapes::describe().
  std::string describe() const;

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// One call, in place of loss.backward(): Modulator(model, options).backward(loss). It warns once per program.
/// @throws besides those of Modulator: c10::Error for `shuffled` or every > 1, which must remember earlier batches
void backward(const at::Tensor& loss, const torch::nn::Module& model, const BackwardOptions& options = {});
void backward(const at::Tensor& loss, const torch::jit::Module& model, const BackwardOptions& options = {});

}  // namespace grapes
