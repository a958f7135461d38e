#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nn {

/// A loss: a mean over the batch. Where the output function is part of the loss it wants logits.
struct Loss {
  std::string name;
  std::string summary;  ///< its equation
  std::string output;   ///< the output function that `auto` means
  /// @param outputs  [batch, k] after the output function (logits, if that is softmax and the loss is cross-entropy)
  /// @param targets  [batch] int64 classes, or [batch, k] values
  at::Tensor (*value)(const at::Tensor& outputs, const at::Tensor& targets);
};
/// cross-entropy: -log softmax(a)[class];  mse: mean over batch and outputs of (o - t)², classes as one-hot vectors.
const std::vector<Loss>& losses();

/// What stands on a network's logits: the output function and the loss.
class Criterion {
 public:
  /// @param loss    a row of losses(), or auto: cross-entropy for classes, mse for values
  /// @param output  softmax, a row of activations(), or auto: what the loss goes with
  /// @throws UsageError for a name, or for a pair that does not fit (cross-entropy needs softmax and classes)
  Criterion(const std::string& loss, const std::string& output, bool classification);

  /// Mean over the batch, [] with a graph. @param logits [batch, k]
  at::Tensor loss(const at::Tensor& logits, const at::Tensor& targets) const;
  /// What the network says: probabilities or values, [batch, k].
  at::Tensor prediction(const at::Tensor& logits) const;
  const std::string& name() const { return loss_->name; }

 private:
  const Loss* loss_;
  at::Tensor (*output_)(const at::Tensor& logits);
  bool fused_;  // the loss takes logits, for log-softmax in one step is exact where softmax underflows
};

}  // namespace grapes::nn
