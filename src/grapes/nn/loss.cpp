#include "grapes/nn/loss.h"

#include "grapes/base/table.h"
#include "grapes/kernels/cross_entropy.h"
#include "grapes/kernels/row_sums.h"
#include "grapes/nn/activation.h"

#include <ATen/ATen.h>

namespace grapes::nn {
namespace {

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& classes, const at::Tensor&) {
  return kernels::fusable(logits) && classes.scalar_type() == at::kLong ? kernels::cross_entropy(logits, classes)
                                                                        : at::cross_entropy_loss(logits, classes);
}

at::Tensor mean_squared_error(const at::Tensor& outputs, const at::Tensor& targets, const at::Tensor&) {
  const at::Tensor wanted = targets.dim() == 1 && targets.scalar_type() == at::kLong
                                ? at::one_hot(targets, outputs.size(1)).to(outputs.scalar_type())
                                : targets.to(outputs.scalar_type()).view_as(outputs);
  return at::mse_loss(outputs, wanted);
}

at::Tensor binary_cross_entropy(const at::Tensor& logits, const at::Tensor& bits, const at::Tensor& present) {
  const at::Tensor each =
      at::binary_cross_entropy_with_logits(logits, bits.to(logits.scalar_type()), {}, {}, at::Reduction::None);
  const at::Tensor steps = each.sum(-1);
  if (!present.defined()) return steps.mean();
  return (steps * present.to(steps.scalar_type())).sum() / present.sum().clamp_min(1);
}

at::Tensor softmax(const at::Tensor& logits) { return at::softmax(logits, -1); }

}  // namespace

const std::vector<Loss>& losses() {
  static const std::vector<Loss> rows = {
      {"cross-entropy", "-log softmax(a)[class], mean over the batch", "softmax", true, cross_entropy},
      {"mse", "(o - t)², mean over batch and outputs; classes as one-hot vectors", "identity", false,
       mean_squared_error},
      {"binary-cross-entropy", "-Σ log P(bit) over the outputs of a time step, mean over time steps", "sigmoid", true,
       binary_cross_entropy},
  };
  return rows;
}

Criterion::Criterion(const std::string& loss, const std::string& output, TargetKind targets) {
  static const char* const standard[] = {"cross-entropy", "mse", "binary-cross-entropy"};
  static const char* const asked[] = {"classes", "numbers", "bits at every step"};
  const auto which = static_cast<std::size_t>(targets);
  loss_ = &find_row(losses(), "loss", loss == "auto" ? standard[which] : loss);
  const std::string name = output == "auto" ? loss_->output : output;
  if (loss_->logits && name != loss_->output)
    throw UsageError("loss " + loss_->name + " needs output " + loss_->output + "; got output " + name);
  if ((loss_->logits || targets == TargetKind::bits) && loss_->name != standard[which])
    throw UsageError("loss " + loss_->name + " does not support these targets, which are " + asked[which] +
                     ": use --loss " + standard[which]);
  output_name_ = name;
  output_ = name == "softmax" ? softmax : find_row(activations(), "output", name).apply;
}

void Criterion::standardize(at::Tensor mean, at::Tensor deviation) {
  TORCH_CHECK(!loss_->logits, "Criterion: only targets that are values can be standardized, not those of ", name());
  mean_ = std::move(mean).to(at::kDouble);
  deviation_ = std::move(deviation).to(at::kDouble);
}

at::Tensor Criterion::standardized(const at::Tensor& targets) const {
  return standardizes() ? (targets - mean_) / deviation_ : targets;
}

at::Tensor Criterion::loss(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& present) const {
  const auto there = [&](const at::Tensor& given) { return given.defined() ? given.to(logits.device()) : given; };
  return loss_->value(loss_->logits ? logits : output_(logits), there(standardized(targets)), there(present));
}

at::Tensor Criterion::error(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& present) const {
  if (!standardizes()) return loss(logits, targets, present);
  return loss_->value(prediction(logits), targets.to(logits.device(), at::kDouble), present);
}

at::Tensor Criterion::prediction(const at::Tensor& logits) const {
  const at::Tensor outputs = output_(logits);
  if (!standardizes()) return outputs;
  return outputs.to(at::kDouble) * deviation_.to(outputs.device()) + mean_.to(outputs.device());
}

}  // namespace grapes::nn
