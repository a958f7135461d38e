#include "grapes/kernels/update.h"
#include "grapes/optim/rules.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace grapes::optim {
namespace {

/// m = β₁ m + (1-β₁) g;  v = β₂ v + (1-β₂) g²;  W -= η m̂ / (√v̂ + ε), m̂ and v̂ corrected for their start at zero.
class Adam final : public Optimizer {
 public:
  Adam(const Options& options, std::vector<Parameter> parameters)
      : Optimizer(options, std::move(parameters)),
        mean_(keep("mean", zeros_for(parameters_))),
        square_(keep("square", zeros_for(parameters_))),
        steps_(keep("steps", at::zeros({}, at::kLong))) {}

 private:
  void before_updates() override {
    steps_.add_(1);
    const auto t = static_cast<double>(steps_.item<std::int64_t>());
    numbers_ = {options_.beta1, options_.beta2, options_.epsilon, 1 - std::pow(options_.beta1, t),
                1 - std::pow(options_.beta2, t)};
  }
  void update(std::size_t i, const kernels::Gradient& g, double rate) override {
    kernels::adam(parameters_[i], g, mean_[i], square_[i], {rate, options_.weight_decay}, numbers_);
  }

  std::vector<at::Tensor> mean_, square_;
  at::Tensor steps_;
  kernels::AdamNumbers numbers_{};
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(const Options& options, std::vector<Parameter> parameters) {
  return std::make_unique<Adam>(options, std::move(parameters));
}

}  // namespace grapes::optim
