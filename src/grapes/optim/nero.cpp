#include "grapes/optim/rules.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

namespace grapes::optim {
namespace {

/// Returns the norm of each unit's weights, [unit, 1, ...]; of a vector, the magnitude of each number, [unit].
at::Tensor unit_norm(const at::Tensor& x) {
  if (x.dim() < 2) return x.abs();
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(x.dim()), 1);
  sizes[0] = x.size(0);
  return x.flatten(1).norm(2, 1).view(sizes);
}

/// q_n = β₂ q_n + (1-β₂) |g_n|²;  W_n -= η σ g_n / √q̂_n, then W_n gets a mean of 0 and a norm of 1, for the weights W_n
/// of each unit (Liu, Bernstein, Meister and Yue 2021). q̂ is corrected for its start at zero. σ is the mean norm of a
/// parameter's units at the start: 1 for weights, the mean magnitude of a vector, or 0.01 if it is zero. The weights
/// are balanced when the optimizer is made, too.
class Nero final : public Optimizer {
 public:
  Nero(const Options& options, std::vector<Parameter> parameters)
      : Optimizer(options, std::move(parameters)), steps_(at::zeros({}, at::kLong)) {
    const at::NoGradGuard no_grad;
    for (const Parameter& parameter : parameters_) {
      balance(parameter);
      const at::Tensor norm = unit_norm(parameter.value);
      const at::Tensor mean = norm.mean();
      scale_.push_back(at::where(mean == 0, at::full_like(mean, 0.01), mean));
      square_.push_back(at::zeros_like(norm));
    }
    keep("square", square_);
    keep("scale", scale_);
    keep("steps", steps_);
  }

 private:
  static void balance(const Parameter& parameter) {
    const at::Tensor& W = parameter.value;
    if (W.dim() < 2) return;
    at::Tensor rows = W.detach().flatten(1);
    if (parameter.mask.defined()) {  // weights that do not exist have no part in the mean
      const at::Tensor exists = parameter.mask.flatten(1);
      rows = (rows - rows.sum(1, true) / exists.sum(1, true).clamp_min(1)) * exists;
    } else {
      rows = rows - rows.mean(1, true);
    }
    const at::Tensor norm = rows.norm(2, 1, true);
    W.detach().copy_(at::where(norm == 0, rows, rows / norm).view(W.sizes()));
  }

  void before_updates() override { steps_.add_(1); }
  void update(std::size_t i, const kernels::Gradient& given, double rate) override {
    const at::Tensor& gradient = given.value;
    const at::Tensor &W = parameters_[i].value, &q = square_[i], g = decayed(i, gradient);
    q.mul_(options_.beta2).add_(unit_norm(g).square(), 1 - options_.beta2);
    const auto t = static_cast<double>(steps_.item<std::int64_t>());
    const at::Tensor root = (q / (1 - std::pow(options_.beta2, t))).sqrt();
    W.sub_(at::where(root == 0, at::zeros_like(g), g / root) * scale_[i], rate);
    balance(parameters_[i]);
  }

  std::vector<at::Tensor> square_, scale_;
  at::Tensor steps_;
};

}  // namespace

std::unique_ptr<Optimizer> make_nero(const Options& options, std::vector<Parameter> parameters) {
  return std::make_unique<Nero>(options, std::move(parameters));
}

}  // namespace grapes::optim
