#include "grapes/nn/norm.h"

#include "grapes/kernels/node.h"
#include "grapes/kernels/normalization.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

namespace grapes::nn {
namespace {

/// The backward pass of a sum over processes: the sum is a part of the loss of every process, so the error is summed
/// too.
struct SumNode final : torch::autograd::Node {
  Together together;
  std::string name() const override { return "GrapesSumOverProcessesBackward"; }
  torch::autograd::variable_list apply(torch::autograd::variable_list&& errors) override {
    const at::NoGradGuard no_grad;
    const at::Tensor sum = errors[0].clone();
    together.sum(sum);
    return {sum};
  }
};

at::Tensor summed(const at::Tensor& x, const Together& together) {
  at::Tensor sum = x.detach().clone();
  together.sum(sum);
  if (!at::GradMode::is_enabled() || !x.requires_grad()) return sum;
  const auto node = kernels::make_node<SumNode>();
  node->set_next_edges(torch::autograd::collect_next_edges(x));
  node->together = together;
  torch::autograd::create_gradient_edge(sum, node);
  return sum;
}

}  // namespace

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
  const at::Tensor h = kind == Norm::tensor ? x.reshape({1, 1, -1}) : x.flatten(2);
  const double share = together.counts ? 1 : 0;
  const auto average = [&](const at::Tensor& values) {
    const at::Tensor count = at::full({1}, share * static_cast<double>(h.numel() / mean.numel()), mean.options());
    return summed(at::cat({values.sum(at::IntArrayRef({0, 2})) * share, count}), together);
  };
  const auto divided = [](const at::Tensor& sums) {
    const std::int64_t n = sums.size(0) - 1;
    return sums.narrow(0, 0, n) / sums[n];
  };
  const at::Tensor sums = average(h), mu = divided(sums), centered = h - mu.view(groups),
                   sigma2 = divided(average(centered.square()));
  if (remember) {
    const at::NoGradGuard no_grad;
    at::Tensor(mean).lerp_(mu, kernels::norm_momentum);
    const at::Tensor count = sums[sums.size(0) - 1];
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
  const at::Tensor mu = remember || !training ? mean : mean.clone(),
                   sigma2 = remember || !training ? variance : variance.clone();
  if (kind != Norm::tensor) return at::batch_norm(x, scale, shift, mu, sigma2, training, momentum, epsilon, false);
  const at::Tensor all = at::batch_norm(x.reshape({1, 1, -1}), {}, {}, mu, sigma2, training, momentum, epsilon, false);
  std::vector<std::int64_t> per_channel(static_cast<std::size_t>(x.dim()), 1);
  per_channel[1] = x.size(1);
  return all.view(x.sizes()) * scale.view(per_channel) + shift.view(per_channel);
}

}  // namespace grapes::nn
