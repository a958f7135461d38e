#include "grapes/kernels/cross_entropy.h"

#include "grapes/kernels/node.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cmath>

namespace grapes::kernels {
namespace {

struct CrossEntropyBackward final : torch::autograd::Node {
  at::Tensor error;  // (softmax - one-hot) / batch

  std::string name() const override { return "GrapesCrossEntropyBackward"; }
  torch::autograd::variable_list apply(torch::autograd::variable_list&& errors) override {
    TORCH_CHECK(!at::GradMode::is_enabled(), "cross_entropy: the fused loss is not differentiable twice");
    if (!errors[0].defined()) return {{}};
    TORCH_CHECK(error.defined(), "cross_entropy: the backward pass of the fused loss may run only once");
    const double scale = errors[0].item<double>();
    if (scale != 1) error.mul_(scale);
    return {std::move(error)};
  }
  void release_variables() override { error.reset(); }
};

template <class T>
double forward(const at::Tensor& logits, const std::int64_t* classes, T* error) {
  const std::int64_t batch = logits.size(0), k = logits.size(1);
  double sum = 0;
  for (std::int64_t b = 0; b < batch; ++b, error += k) {
    const T* a = logits.data_ptr<T>() + b * k;
    TORCH_CHECK_INDEX(classes[b] >= 0 && classes[b] < k, "cross_entropy: a class must be 0 ... ", k - 1, "; got ",
                      classes[b]);
    const T largest = *std::max_element(a, a + k);
    T total = 0;
    for (std::int64_t i = 0; i < k; ++i) total += error[i] = std::exp(a[i] - largest);
    sum += std::log(total) + largest - a[classes[b]];
    const T scale = 1 / (total * static_cast<T>(batch));
    for (std::int64_t i = 0; i < k; ++i) error[i] *= scale;
    error[classes[b]] -= 1 / static_cast<T>(batch);
  }
  return sum / static_cast<double>(batch);
}

}  // namespace

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& classes) {
  at::Tensor loss, error;
  {
    const at::NoGradGuard no_grad;
    error = at::empty_like(logits);
    loss = at::empty({}, logits.options());
    const at::Tensor wanted = classes.contiguous();
    AT_DISPATCH_FLOATING_TYPES(logits.scalar_type(), "cross_entropy", [&] {
      *loss.data_ptr<scalar_t>() =
          static_cast<scalar_t>(forward(logits, wanted.data_ptr<std::int64_t>(), error.data_ptr<scalar_t>()));
    });
  }
  if (!at::GradMode::is_enabled() || !logits.requires_grad()) return loss;
  const auto node = make_node<CrossEntropyBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(logits));
  node->error = error;
  torch::autograd::create_gradient_edge(loss, node);
  return loss;
}

}  // namespace grapes::kernels
