#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nn {

/// Kind of targets: a class, values, or bits at every time step of a sequence.
enum class TargetKind { classes, values, bits };

/// A loss: a mean over the batch. If the output function is part of the loss, it takes logits.
struct Loss {
  std::string name;
  std::string summary;  ///< equation, for people
  std::string output;   ///< the output function for `auto`
  bool logits;          ///< the output function is part of the loss and cannot be changed
  /// @param outputs  [batch, k] or [batch, time, k], after the output function unless it is part of the loss
  /// @param targets  [batch] int64 classes, [batch, k] values, or [batch, time, k] bits
  /// @param present  [batch, time] bool, false for missing steps; undefined: all true
  at::Tensor (*value)(const at::Tensor& outputs, const at::Tensor& targets, const at::Tensor& present);
};
/// cross-entropy: -log softmax(a)[class];  mse: mean over batch and outputs of (o - t)², classes as one-hot vectors;
/// binary-cross-entropy: -Σ_k log P(bit k), summed over the bits of a step, mean over the steps of all sequences.
const std::vector<Loss>& losses();

/// The output function and the loss of a network.
class Criterion {
 public:
  /// @param loss    a name in losses(), or auto: cross-entropy for classes, mse for values, binary-cross-entropy for
  ///   bits
  /// @param output  softmax, a name in activations(), or auto: the output function of the loss
  /// @throws UsageError for an unknown name or an unsupported combination (cross-entropy needs softmax and classes,
  ///   ...)
  Criterion(const std::string& loss, const std::string& output, TargetKind targets);

  /// Takes a custom loss and output function. @param loss  must outlive this object
  Criterion(const Loss& loss, at::Tensor (*output)(const at::Tensor& logits)) : loss_(&loss), output_(output) {}

  /// Standardizes the targets of a regression, [k] each: the network computes (t - mean) / deviation.
  void standardize(at::Tensor mean, at::Tensor deviation);

  /// Returns the mean over the batch, [], with a graph. @param logits [batch, k]
  at::Tensor loss(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& present = {}) const;
  /// Returns the same in the targets' own units, if they are standardized.
  at::Tensor error(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& present = {}) const;
  /// Returns probabilities, or values in the targets' own units, [batch, k].
  at::Tensor prediction(const at::Tensor& logits) const;
  const std::string& name() const { return loss_->name; }
  /// Returns softmax or a name in activations(); "" for a custom output function.
  const std::string& output() const { return output_name_; }
  bool standardizes() const { return mean_.defined(); }
  /// Returns targets as the network computes them.
  at::Tensor standardized(const at::Tensor& targets) const;

 private:
  const Loss* loss_;
  at::Tensor (*output_)(const at::Tensor& logits);
  std::string output_name_;
  at::Tensor mean_, deviation_;  // of standardized targets, float64
};

}  // namespace grapes::nn
