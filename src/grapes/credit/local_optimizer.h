#pragma once

#include "grapes/credit/attachment.h"
#include "grapes/credit/rule.h"

#include <ATen/core/Tensor.h>
#include <torch/arg.h>

#include <functional>
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
namespace torch::optim {
class Optimizer;
}
namespace torch::serialize {
class OutputArchive;
class InputArchive;
}  // namespace torch::serialize

namespace grapes {

/// Layers are named as in BackwardOptions.
struct LocalOptimizerOptions {
  /* implicit */ LocalOptimizerOptions(Rule rule = {}) : rule_(std::move(rule)) {}

  /// On the route bp; modulations that propagate elsewhere are local here.
  TORCH_ARG(Rule, rule);
  /// Only these, even the last layer; none: all but the output.
  TORCH_ARG(std::vector<std::string>, include);
  /// But not these.
  TORCH_ARG(std::vector<std::string>, exclude);
  /// The output layers, which are left out; none: the last layer registered.
  TORCH_ARG(std::vector<std::string>, output);
};

/// The local version of GRAPES around any optimizer: loss.backward() stays plain, and each step sees the gradient of
/// every hidden weight, and of its bias, times the factor of its unit.
///   G^l = (1/B) (m^l ⊙ δ^l)ᵀ h^{l-1},  δ^l not modulated                                 Dellaferrera et al. 2022
/// There is no graph to look at here, so a model is taken by its parameters' names and its modules' types: units are
/// rows, or output channels of torch's transposed convolutions; embeddings are left out; the output layer is the last
/// one that the model registered. `attachments()` lists it; where it guesses wrong, as in a model with two heads, say
/// `output`. Factors that scale a whole layer alike cancel in Adam and RMSprop.
/// Gradients themselves are after the step as they were before it.
class LocalOptimizer {
 public:
  /// @param optimizer  the user's own; it must live as long as this does. Schedulers go on working on it.
  /// @throws c10::ValueError if an option cannot be, c10::Error if a name means no layer
  LocalOptimizer(torch::optim::Optimizer& optimizer, const torch::nn::Module& model,
                 LocalOptimizerOptions options = {});
  LocalOptimizer(torch::optim::Optimizer& optimizer, const torch::jit::Module& model,
                 LocalOptimizerOptions options = {});
  ~LocalOptimizer();

  /// One step of the optimizer on the scaled gradients. @param closure  computes the loss and its gradients, as for
  /// torch::optim::Optimizer::step; LBFGS calls it several times. @return what the optimizer's step returns
  /// @throws c10::ValueError naming the layer, if a weight is not finite
  at::Tensor step(const std::function<at::Tensor()>& closure = nullptr);
  void zero_grad();

  /// What becomes of each layer, in the model's order: local, output, excluded, frozen (neither its weight nor its bias
  /// learns) or unmatched.
  const std::vector<Attachment>& attachments() const;
  /// The same as a table, see grapes::describe().
  std::string describe() const;

  /// The optimizer's own state and, beside it, what factors depend on: steps taken, and factors kept by `every`. A run
  /// that goes on from it gives the very bits of one that never stopped. Also by torch::save and torch::load.
  void save(torch::serialize::OutputArchive& archive) const;
  /// @throws c10::Error if it was saved for other layers
  void load(torch::serialize::InputArchive& archive);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

torch::serialize::OutputArchive& operator<<(torch::serialize::OutputArchive& archive, const LocalOptimizer& optimizer);
torch::serialize::InputArchive& operator>>(torch::serialize::InputArchive& archive, LocalOptimizer& optimizer);

}  // namespace grapes
