#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
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
namespace grapes::credit {
struct FactorOptions;
}

/// GRAPES for a model that somebody else wrote: its forward pass, its state and its optimizer stay as they are.
namespace grapes {

struct BackwardOptions {
  std::string modulation = "grapes";  ///< `grapes list modulations`: none, grapes, grapes-local, uniform, shuffled, ...
  std::vector<double> constants;  ///< of `constant`: one for all modulated layers, or one each, in the model's order
  double gain = 2, low = 1, high = 2;  ///< m = clip(gain r / max r, low, high); not clipped: low = 0, high = gain
  /// Layers by the name of a parameter or of a module ("fc1", "encoder.0"): only these; none: all but the output.
  std::vector<std::string> include;
  std::vector<std::string> exclude;  ///< but not these
  /// These get the local version: their own gradient is scaled, the error passes through them unscaled. For the
  /// recurrent weight of a hand-written recurrence, which else would compound its factors over time.
  std::vector<std::string> local;
  bool input_only = false;    ///< recurrent layers: r = Σ|W| without Σ|R|
  bool per_gate = false;      ///< LSTM, GRU: each gate normalized on its own, instead of one factor for all of a node's
  bool through_time = false;  ///< recurrent layers: scale the error in R y[t-1] too, so that it compounds over time
  std::int64_t every = 1;     ///< recompute factors every so many batches
  std::uint64_t seed = 0;     ///< of `shuffled`
  bool warn = true;           ///< say by TORCH_WARN, once, which weights are in no layer that can be modulated
};

/// The part of them that makes factors.
credit::FactorOptions factor_options(const BackwardOptions& options);

/// What became of one weight in the last backward pass.
struct Attachment {
  enum class State {
    modulated,  ///< the error at its nodes was scaled
    local,      ///< its own gradient was scaled
    output,     ///< left out: the loss reaches it without crossing another layer
    excluded,   ///< left out by include, exclude or the modulation `none`
    frozen,     ///< left out: it does not learn; the error passes through it unscaled
    unmatched   ///< its gradient is the plain one, see `why`
  };
  std::string name;  ///< of the weight; "lstm.weight_ih_l0 + lstm.weight_hh_l0" for a recurrent layer
  State state = State::unmatched;
  std::string why;        ///< unmatched: "used by EmbeddingBackward0", ...
  std::int64_t uses = 0;  ///< how often this loss multiplies by it
  at::Tensor factor;      ///< [node], [gates · node] for a recurrent layer; undefined if not modulated
};
std::string to_string(Attachment::State state);

/// Runs loss.backward() so that the error at every hidden node is scaled by the node's factor:
///   δ^l = M^l ⊙ [W^{l+1}ᵀ δ^{l+1}] ⊙ φ'(a^l),  M = clip(2 r / max r, 1, 2), r_n = Σ_i |W_ni|     Dellaferrera et al.
///   2022
/// It finds, in the graph of the loss, the operation that multiplies by each weight and scales the error that arrives
/// there; values, parameters and plain loss.backward() are not touched. Found are at::linear, mm, addmm and mv with the
/// weight on either side, transposed or not, and convolutions of any rank, grouped or transposed (per output channel).
/// A weight with several uses is modulated in each; the output layer, that is every use which the loss reaches without
/// crossing another, in none.
/// RNN, LSTM, GRU and their cells, by PyTorch's names: r sums W and R and all gates of a node; W x_t takes the
/// propagating version, R y_{t-1} the local one, so nothing compounds over time. Each layer and direction is a layer of
/// its own. Gradients add up and retained graphs are right: nothing is scaled twice, and only inside this call. Not for
/// several threads at a time. Cost: docs/performance.md.
class Modulator {
 public:
  /// @throws c10::Error if an option cannot be, UsageError if there is no such modulation
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
  /// graph
  ///         is one of TorchScript's that hides its layers
  void backward(const at::Tensor& loss, const at::Tensor& gradient = {}, bool retain_graph = false);

  /// What became of each weight, in the model's order; before the first backward pass all are unmatched.
  const std::vector<Attachment>& attachments() const;
  /// The same as a table, a line each.
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
