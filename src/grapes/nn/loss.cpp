#include "grapes/nn/loss.h"

#include "grapes/base/table.h"
#include "grapes/kernels/cross_entropy.h"
#include "grapes/kernels/row_sums.h"
#include "grapes/nn/activation.h"

#include <ATen/ATen.h>

namespace grapes::nn {
namespace {

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& classes) {
  return kernels::fusable(logits) && classes.scalar_type() == at::kLong ? kernels::cross_entropy(logits, classes)
                                                                        : at::cross_entropy_loss(logits, classes);
}

at::Tensor mean_squared_error(const at::Tensor& outputs, const at::Tensor& targets) {
  const at::Tensor wanted = targets.dim() == 1 && targets.scalar_type() == at::kLong
                                ? at::one_hot(targets, outputs.size(1)).to(outputs.scalar_type())
                                : targets.to(outputs.scalar_type()).view_as(outputs);
  return at::mse_loss(outputs, wanted);
}

at::Tensor softmax(const at::Tensor& logits) { return at::softmax(logits, 1); }

}  // namespace

const std::vector<Loss>& losses() {
  static const std::vector<Loss> rows = {
      {"cross-entropy", "-log softmax(a)[class], mean over the batch", "softmax", cross_entropy},
      {"mse", "(o - t)², mean over batch and outputs; classes as one-hot vectors", "identity", mean_squared_error},
  };
  return rows;
}

Criterion::Criterion(const std::string& loss, const std::string& output, bool classification)
    : loss_(&find_row(losses(), "loss",
                      loss != "auto"   ? loss
                      : classification ? "cross-entropy"
                                       : "mse")) {
  const std::string name = output == "auto" ? loss_->output : output;
  fused_ = loss_->name == "cross-entropy";
  if (fused_ && name != "softmax") throw UsageError("loss cross-entropy needs output softmax; got output " + name);
  if (fused_ && !classification)
    throw UsageError("loss cross-entropy needs classes; these targets are numbers: use --loss mse");
  output_ = name == "softmax" ? softmax : find_row(activations(), "output", name).apply;
}

at::Tensor Criterion::loss(const at::Tensor& logits, const at::Tensor& targets) const {
  return loss_->value(fused_ ? logits : output_(logits), targets);
}

at::Tensor Criterion::prediction(const at::Tensor& logits) const { return output_(logits); }

}  // namespace grapes::nn
