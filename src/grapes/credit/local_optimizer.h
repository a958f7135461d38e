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

/// Options of LocalOptimizer. Layers are named as in BackwardOptions.
struct LocalOptimizerOptions {
  /* implicit */ LocalOptimizerOptions(Rule rule = {}) : rule_(std::move(rule)) {}

  /// The learning rule. Its route must be bp; every modulation is applied locally.
  TORCH_ARG(Rule, rule);
  /// Modulates only these layers, even the last one. Empty: all layers except the output.
  TORCH_ARG(std::vector<std::string>, include);
  /// Does not modulate these layers.
  TORCH_ARG(std::vector<std::string>, exclude);
  /// Output layers, which are not modulated. Empty: the layer that was registered last.
  TORCH_ARG(std::vector<std::string>, output);
};

/// Wraps any optimizer with the local version of GRAPES: call plain loss.backward(); each step then multiplies the
/// gradients of every hidden weight and bias by the factors of their units.
///   G^l = (1/B) (m^l ⊙ δ^l)ᵀ h^{l-1},  δ^l not modulated                                 Dellaferrera et al. 2022
/// The optimizer sees no graph, so layers are found by parameter names and module types. Units are rows, or the output
/// channels of torch's transposed convolutions. Embeddings are not modulated. The layer that was registered last is
/// taken as the output layer; for a model with two heads, set `output`. attachments() shows the result. With Adam and
/// RMSprop, a factor that is equal for a whole layer has no effect. After the step the gradients have the values that
/// they had before it.
class LocalOptimizer {
 public:
  /// @param optimizer  must outlive this object; attach learning-rate schedulers to it as before
  /// @throws c10::ValueError for an invalid option; c10::Error if a name matches no layer
  LocalOptimizer(torch::optim::Optimizer& optimizer, const torch::nn::Module& model,
                 LocalOptimizerOptions options = {});
  LocalOptimizer(torch::optim::Optimizer& optimizer, const torch::jit::Module& model,
                 LocalOptimizerOptions options = {});
  ~LocalOptimizer();

  /// Takes one step of the optimizer with the scaled gradients.
  /// @param closure  computes the loss and its gradients, as for torch::optim::Optimizer::step; LBFGS calls it several
  ///   times
  /// @return the value of the optimizer's step
  /// @throws c10::ValueError with the layer's name if a weight is not finite
  at::Tensor step(const std::function<at::Tensor()>& closure = nullptr);
  void zero_grad();

  /// How each layer is treated, in the model's order: local, output, excluded, frozen (neither weight nor bias requires
  /// a gradient) or unmatched.
  const std::vector<Attachment>& attachments() const;
  /// The same as a table, see grapes::describe().
  std::string describe() const;

  /// Saves the optimizer's state, the number of steps, and the factors that `every` keeps. A run that resumes from it
  /// computes the same bits as an uninterrupted one. torch::save and torch::load work too.
  void save(torch::serialize::OutputArchive& archive) const;
  /// @throws c10::Error if the archive was saved for other layers
  void load(torch::serialize::InputArchive& archive);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

torch::serialize::OutputArchive& operator<<(torch::serialize::OutputArchive& archive, const LocalOptimizer& optimizer);
torch::serialize::InputArchive& operator>>(torch::serialize::InputArchive& archive, LocalOptimizer& optimizer);

}  // namespace grapes
