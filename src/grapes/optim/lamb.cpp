#include "grapes/kernels/update.h"
#include "grapes/optim/rules.h"

#include <ATen/ATen.h>

#include <cmath>

namespace grapes::optim {
namespace {

/// m = β₁ m + (1-β₁) g;  v = β₂ v + (1-β₂) g²;  u = m̂ / (√v̂ + ε) + λ W;  W -= η t u, with the trust ratio t = |W| / |u|
/// of each weight (You et al. 2020). Unlike in adam, the decay is not part of the gradient.
class Lamb final : public Optimizer {
 public:
  Lamb(const Options& options, std::vector<Parameter> parameters)
      : Optimizer(options, std::move(parameters)),
        mean_(keep("mean", zeros_for(parameters_))),
        square_(keep("square", zeros_for(parameters_))),
        steps_(keep("steps", at::zeros({}, at::kLong))) {}

 private:
  void before_updates() override { steps_.add_(1); }
  void update(std::size_t i, const kernels::Gradient& given, double rate) override {
    const at::Tensor& g = given.value;
    const at::Tensor &W = parameters_[i].value, &m = mean_[i], &v = square_[i];
    const auto t = static_cast<double>(steps_.item<std::int64_t>());
    m.mul_(options_.beta1).add_(g, 1 - options_.beta1);
    v.mul_(options_.beta2).addcmul_(g, g, 1 - options_.beta2);
    const at::Tensor root = (v / (1 - std::pow(options_.beta2, t))).sqrt_().add_(options_.epsilon);
    at::Tensor u = m / (1 - std::pow(options_.beta1, t)) / root;
    if (options_.weight_decay != 0) u.add_(W, options_.weight_decay);
    const double ratio = trust_ratio(W, W.norm().item<double>(), u.norm().item<double>());
    kernels::sgd(parameters_[i], u, {rate * ratio});
  }

  std::vector<at::Tensor> mean_, square_;
  at::Tensor steps_;
};

}  // namespace

std::unique_ptr<Optimizer> make_lamb(const Options& options, std::vector<Parameter> parameters) {
  return std::make_unique<Lamb>(options, std::move(parameters));
}

}  // namespace grapes::optim
