#include "grapes/train/metrics.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

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

Totals summed(dist::Group& group, const Totals& totals) {
  const at::Tensor all =
      at::tensor({totals.loss, totals.counted, totals.score, static_cast<double>(totals.samples)}, at::kDouble);
  group.sum(all);
  const auto* sums = all.data_ptr<double>();
  return {sums[0], sums[1], sums[2], static_cast<std::int64_t>(sums[3])};
}

Metrics::Metrics(const data::Dataset& dataset, const Totals& begin) : problem_(dataset.info().problem), totals_(begin) {
  if (problem_ == data::ProblemKind::regression && dataset.size() > 0) {
    const at::Tensor t = dataset.targets().to(at::kDouble);
    spread_ = (t - t.mean(0, true)).square().sum().item<double>() / static_cast<double>(dataset.size());
  }
}

void Metrics::add(double loss, const at::Tensor& prediction, const data::Batch& batch) {
  const at::NoGradGuard no_grad;
  const at::Tensor& targets = batch.targets;
  totals_.samples += targets.size(0);
  double count = static_cast<double>(targets.size(0));
  if (problem_ == data::ProblemKind::prediction)
    count = batch.present.defined() ? batch.present.sum().item<double>() : count * static_cast<double>(targets.size(1));
  totals_.counted += count;
  totals_.loss += loss * count;
  if (problem_ == data::ProblemKind::classification)
    totals_.score += static_cast<double>(prediction.argmax(1).eq(targets).sum().item<std::int64_t>());
  if (problem_ == data::ProblemKind::regression)
    totals_.score += (prediction.to(at::kDouble) - targets.to(at::kDouble)).square().sum().item<double>();
}

double Metrics::score() const {
  if (totals_.samples == 0) return 0;
  if (problem_ == data::ProblemKind::prediction) return -loss();
  const double mean = totals_.score / static_cast<double>(totals_.samples);
  if (problem_ == data::ProblemKind::classification) return mean;
  return spread_ > 0 ? 1 - mean / spread_ : 0;
}

}  // namespace grapes::train
