#include "grapes/train/metrics.h"

#include <ATen/ATen.h>

namespace grapes::train {

std::string score_name(data::ProblemKind problem) {
  return problem == data::ProblemKind::classification ? "accuracy"
         : problem == data::ProblemKind::regression   ? "r2"
                                                      : "log_likelihood";
}

nn::TargetKind target_kind(data::ProblemKind problem) {
  using nn::TargetKind;
  return problem == data::ProblemKind::classification ? TargetKind::classes
         : problem == data::ProblemKind::regression   ? TargetKind::values
                                                      : TargetKind::bits;
}

Metrics::Metrics(const data::Dataset& dataset) : problem_(dataset.info().problem) {
  if (problem_ == data::ProblemKind::regression && dataset.size() > 0) {
    const at::Tensor t = data::targets(dataset).to(at::kDouble);
    spread_ = (t - t.mean(0, true)).square().sum().item<double>() / static_cast<double>(dataset.size());
  }
}

void Metrics::add(double loss, const at::Tensor& prediction, const data::Batch& batch) {
  const at::NoGradGuard no_grad;
  const at::Tensor& targets = batch.targets;
  samples += targets.size(0);
  double count = static_cast<double>(targets.size(0));
  if (problem_ == data::ProblemKind::prediction)
    count = batch.present.defined() ? batch.present.sum().item<double>() : count * static_cast<double>(targets.size(1));
  counted += count;
  loss_sum += loss * count;
  if (problem_ == data::ProblemKind::classification)
    score_sum += static_cast<double>(prediction.argmax(1).eq(targets).sum().item<std::int64_t>());
  if (problem_ == data::ProblemKind::regression)
    score_sum += (prediction.to(at::kDouble) - targets.to(at::kDouble)).square().sum().item<double>();
}

double Metrics::score() const {
  if (samples == 0) return 0;
  if (problem_ == data::ProblemKind::prediction) return -loss();
  const double mean = score_sum / static_cast<double>(samples);
  if (problem_ == data::ProblemKind::classification) return mean;
  return spread_ > 0 ? 1 - mean / spread_ : 0;
}

}  // namespace grapes::train
