#pragma once

#include "grapes/credit/backward.h"

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

namespace torch::optim {
class Optimizer;
}
namespace torch::serialize {
class OutputArchive;
class InputArchive;
}  // namespace torch::serialize

namespace grapes {

/// The local version of GRAPES around any optimizer: loss.backward() stays plain, and each step sees the gradient of
/// every hidden weight, and of its bias, times the factor of its node.
///   G^l = (1/B) (M^l ⊙ δ^l)ᵀ h^{l-1},  δ^l not modulated                                 Dellaferrera et al. 2022
/// There is no graph to look at here, so a model is taken by its parameters' names and its modules' types: nodes are
/// rows, or output channels of torch's transposed convolutions; embeddings are left out; the output layer is the last
/// one that the model registered, unless `include` names layers. `attachments()` lists it; where it guesses wrong, as
/// in a model with two heads, say `exclude`. Factors that scale a whole layer alike cancel in Adam and RMSprop.
/// Gradients themselves are after the step as they were before it.
class LocalOptimizer {
 public:
  /// @param optimizer  the user's own; it must live as long as this does. Schedulers go on working on it.
  /// @param options    as for backward(); modulations that propagate there are local here; local and through_time have
  ///                   no meaning and must be left alone
  LocalOptimizer(torch::optim::Optimizer& optimizer, const torch::nn::Module& model, BackwardOptions options = {});
  LocalOptimizer(torch::optim::Optimizer& optimizer, const torch::jit::Module& model, BackwardOptions options = {});
  ~LocalOptimizer();

  /// One step of the optimizer on the scaled gradients. @param closure  computes the loss and its gradients, as for
  /// torch::optim::Optimizer::step; LBFGS calls it several times. @return what the optimizer's step returns
  at::Tensor step(const std::function<at::Tensor()>& closure = nullptr);
  void zero_grad();

  /// What becomes of each weight, in the model's order: local, output, excluded, frozen or unmatched.
  const std::vector<Attachment>& attachments() const;

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
