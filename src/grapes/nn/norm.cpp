#include "grapes/nn/norm.h"

#include "grapes/kernels/normalization.h"

#include <ATen/ATen.h>

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

at::Tensor BatchNorm::forward(const at::Tensor& x, bool training, bool remember) const {
  constexpr double momentum = kernels::norm_momentum, epsilon = kernels::norm_epsilon;
  // The running statistics are updated in place. If they must not change, use copies.
  const at::Tensor mu = remember || !training ? mean : mean.clone(),
                   sigma2 = remember || !training ? variance : variance.clone();
  if (kind != Norm::tensor) return at::batch_norm(x, scale, shift, mu, sigma2, training, momentum, epsilon, false);
  const at::Tensor all = at::batch_norm(x.reshape({1, 1, -1}), {}, {}, mu, sigma2, training, momentum, epsilon, false);
  std::vector<std::int64_t> per_channel(static_cast<std::size_t>(x.dim()), 1);
  per_channel[1] = x.size(1);
  return all.view(x.sizes()) * scale.view(per_channel) + shift.view(per_channel);
}

}  // namespace grapes::nn
