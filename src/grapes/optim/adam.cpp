#include "grapes/optim/rules.h"

#include <ATen/ATen.h>

#include <cmath>

namespace grapes::optim {
namespace {

/// m = β₁ m + (1-β₁) g;  v = β₂ v + (1-β₂) g²;  W -= η m̂ / (√v̂ + ε), m̂ and v̂ corrected for their start at zero.
class Adam final : public Optimizer {
 public:
  Adam(const Options& options, std::vector<at::Tensor> parameters)
      : Optimizer(std::move(parameters)),
        beta1_(options.beta1),
        beta2_(options.beta2),
        epsilon_(options.epsilon),
        mean_(zeros_for(parameters_)),
        square_(zeros_for(parameters_)),
        steps_(at::zeros({}, at::kLong)) {}

  std::vector<State> state() override {
    std::vector<State> all;
    add_state(all, "mean", mean_);
    add_state(all, "square", square_);
    all.push_back({"steps", steps_});
    return all;
  }

 private:
  void update(double rate) override {
    steps_.add_(1);
    const auto t = static_cast<double>(steps_.item<std::int64_t>());
    const double correct1 = 1 - std::pow(beta1_, t), correct2 = 1 - std::pow(beta2_, t);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const at::Tensor& g = parameters_[i].grad();
      mean_[i].mul_(beta1_).add_(g, 1 - beta1_);
      square_[i].mul_(beta2_).addcmul_(g, g, 1 - beta2_);
      parameters_[i].addcdiv_(mean_[i], (square_[i] / correct2).sqrt_().add_(epsilon_), -rate / correct1);
    }
  }

  double beta1_, beta2_, epsilon_;
  std::vector<at::Tensor> mean_, square_;
  at::Tensor steps_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(const Options& options, std::vector<at::Tensor> parameters) {
  return std::make_unique<Adam>(options, std::move(parameters));
}

}  // namespace grapes::optim
