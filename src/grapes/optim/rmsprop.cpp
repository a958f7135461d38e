#include "grapes/optim/rules.h"

#include <ATen/ATen.h>

namespace grapes::optim {
namespace {

/// q = ρ q + (1-ρ) g²;  W -= η g / √(q + ε). The ε stands inside the root, as in the GRAPES authors' program.
class RmsProp final : public Optimizer {
 public:
  RmsProp(const Options& options, std::vector<at::Tensor> parameters)
      : Optimizer(std::move(parameters)),
        rho_(options.rho),
        epsilon_(options.epsilon),
        square_(zeros_for(parameters_)) {}

  std::vector<State> state() override {
    std::vector<State> all;
    add_state(all, "square", square_);
    return all;
  }

 private:
  void update(double rate) override {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const at::Tensor& g = parameters_[i].grad();
      square_[i].mul_(rho_).addcmul_(g, g, 1 - rho_);
      parameters_[i].addcdiv_(g, (square_[i] + epsilon_).sqrt_(), -rate);
    }
  }

  double rho_, epsilon_;
  std::vector<at::Tensor> square_;
};

}  // namespace

std::unique_ptr<Optimizer> make_rmsprop(const Options& options, std::vector<at::Tensor> parameters) {
  return std::make_unique<RmsProp>(options, std::move(parameters));
}

}  // namespace grapes::optim
