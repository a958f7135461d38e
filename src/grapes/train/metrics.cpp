#include "grapes/train/metrics.h"

#include <ATen/ATen.h>

namespace grapes::train {

Metrics::Metrics(const data::Dataset& dataset) : task_(dataset.meaning().task) {
  if (task_ == data::Task::regression && dataset.size() > 0) {
    const at::Tensor t = data::targets(dataset).to(at::kDouble);
    spread_ = (t - t.mean(0, true)).square().sum().item<double>() / static_cast<double>(dataset.size());
  }
}

void Metrics::add(double loss, const at::Tensor& prediction, const at::Tensor& targets) {
  const at::NoGradGuard no_grad;
  const std::int64_t count = targets.size(0);
  loss_sum += loss * static_cast<double>(count);
  score_sum += task_ == data::Task::classification
                   ? static_cast<double>(prediction.argmax(1).eq(targets).sum().item<std::int64_t>())
                   : (prediction.to(at::kDouble) - targets.to(at::kDouble)).square().sum().item<double>();
  samples += count;
}

double Metrics::score() const {
  if (samples == 0) return 0;
  const double mean = score_sum / static_cast<double>(samples);
  if (task_ == data::Task::classification) return mean;
  return spread_ > 0 ? 1 - mean / spread_ : 0;
}

}  // namespace grapes::train
