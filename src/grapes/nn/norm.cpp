#include "grapes/nn/norm.h"

#include "grapes/kernels/normalization.h"
#include "grapes/nn/summed.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <utility>

namespace grapes::nn {
BatchNorm BatchNorm::make(Norm kind, std::int64_t channels, const at::TensorOptions& options, double threshold) {
  BatchNorm norm;
  norm.kind = kind;
  if (kind == Norm::none) return norm;
  norm.scale = at::full({channels}, kind == Norm::threshold ? threshold : 1, options).requires_grad_();
  norm.shift = at::zeros({channels}, options).requires_grad_();
  const std::int64_t groups = kind == Norm::tensor ? 1 : channels;
  norm.mean = at::zeros({groups}, options);
  norm.variance = at::ones({groups}, options);
  return norm;
}

at::Tensor BatchNorm::over_processes(const at::Tensor& x, bool remember, const Together& together) const {
  const std::vector<std::int64_t> groups = {1, mean.numel(), 1};
  const at::Tensor h = kind == Norm::tensor ? x.reshape({1, 1, x.numel()}) : x.flatten(2);
  const double own = together.counts ? static_cast<double>(h.numel() / mean.numel()) : 0;
  const at::Tensor uncounted = at::full({}, !together.counts, mean.options().dtype(at::kBool));
  // Returns the means over the batch, and their count; in float64, in which counts are exact.
  const auto average = [&](const at::Tensor& values) {
    const at::Tensor sums = values.sum(at::IntArrayRef({0, 2}), false, at::kDouble).masked_fill(uncounted, 0);
    const at::Tensor count = at::full({1}, own, sums.options());
    const at::Tensor all = summed(at::cat({sums, count}), together.sum, true, true);
    const at::Tensor n = all.narrow(0, mean.numel(), 1).detach();
    return std::pair((all.narrow(0, 0, mean.numel()) / n).to(mean.scalar_type()), n.item<double>());
  };
  const auto [mu, count] = average(h);
  const at::Tensor centered = h - mu.view(groups), sigma2 = average(centered.square()).first;
  if (remember && count > 1) {
    const at::NoGradGuard no_grad;
    at::Tensor(mean).lerp_(mu, kernels::norm_momentum);
    at::Tensor(variance).lerp_(sigma2 * (count / (count - 1)), kernels::norm_momentum);
  }
  const at::Tensor all = (centered / (sigma2 + kernels::norm_epsilon).sqrt().view(groups)).view(x.sizes());
  std::vector<std::int64_t> per_channel(static_cast<std::size_t>(x.dim()), 1);
  per_channel[1] = x.size(1);
  return all * scale.view(per_channel) + shift.view(per_channel);
}

at::Tensor BatchNorm::forward(const at::Tensor& x, bool training, bool remember, const Together* together) const {
  if (training && together != nullptr) return over_processes(x, remember, *together);
  constexpr double momentum = kernels::norm_momentum, epsilon = kernels::norm_epsilon;
  // The running statistics are updated in place. If they must not change, use copies.
  const bool shared = !training || (remember && x.numel() > mean.numel());
  const at::Tensor mu = shared ? mean : mean.clone(), sigma2 = shared ? variance : variance.clone();
  if (kind != Norm::tensor) return at::batch_norm(x, scale, shift, mu, sigma2, training, momentum, epsilon, false);
  const at::Tensor all = at::batch_norm(x.reshape({1, 1, -1}), {}, {}, mu, sigma2, training, momentum, epsilon, false);
  std::vector<std::int64_t> per_channel(static_cast<std::size_t>(x.dim()), 1);
  per_channel[1] = x.size(1);
  return all.view(x.sizes()) * scale.view(per_channel) + shift.view(per_channel);
}

}  // namespace grapes::nn
