#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nn {

/// What a network is asked for: a class, values, or bits that are on or off at every step of a sequence.
enum class TargetKind { classes, values, bits };

/// A loss: a mean over the batch. Where the output function is part of the loss it wants logits.
struct Loss {
  std::string name;
  std::string summary;  ///< its equation
  std::string output;   ///< the output function that `auto` means
  bool logits;          ///< the output function is part of it, and no other is possible
  /// @param outputs  [batch, k] or [batch, time, k], after the output function unless it is part of the loss
  /// @param targets  [batch] int64 classes, [batch, k] values, or [batch, time, k] bits
  /// @param present  [batch, time] bool, steps that are there; or undefined: all
  at::Tensor (*value)(const at::Tensor& outputs, const at::Tensor& targets, const at::Tensor& present);
};
/// cross-entropy: -log softmax(a)[class];  mse: mean over batch and outputs of (o - t)², classes as one-hot vectors;
/// binary-cross-entropy: -Σ_k log P(bit k), summed over the bits of a step, mean over the steps of all sequences.
const std::vector<Loss>& losses();

/// What stands on a network's logits: the output function and the loss.
class Criterion {
 public:
  /// @param loss    a row of losses(), or auto: cross-entropy for classes, mse for values, binary-cross-entropy for
  /// bits
  /// @param output  softmax, a row of activations(), or auto: what the loss goes with
  /// @throws UsageError for a name, or for a pair that does not fit (cross-entropy needs softmax and classes, ...)
  Criterion(const std::string& loss, const std::string& output, TargetKind targets);

  /// A loss and an output function that are in no table. @param loss  outlives this
  Criterion(const Loss& loss, at::Tensor (*output)(const at::Tensor& logits)) : loss_(&loss), output_(output) {}

  /// Mean over the batch, [] with a graph. @param logits [batch, k]
  at::Tensor loss(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& present = {}) const;
  /// What the network says: probabilities or values, [batch, k].
  at::Tensor prediction(const at::Tensor& logits) const;
  const std::string& name() const { return loss_->name; }

 private:
  const Loss* loss_;
  at::Tensor (*output_)(const at::Tensor& logits);
};

}  // namespace grapes::nn
