#include "grapes/optim/rules.h"

#include <ATen/ATen.h>

namespace grapes::optim {
namespace {

/// v = μ v + η g;  W -= v. The rate stands inside v: a schedule does not touch what has been gathered already.
class Momentum final : public Optimizer {
 public:
  Momentum(double momentum, std::vector<at::Tensor> parameters)
      : Optimizer(std::move(parameters)), momentum_(momentum), velocity_(zeros_for(parameters_)) {}

  std::vector<State> state() override {
    std::vector<State> all;
    add_state(all, "velocity", velocity_);
    return all;
  }

 private:
  void update(double rate) override {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      velocity_[i].mul_(momentum_).add_(parameters_[i].grad(), rate);
      parameters_[i].sub_(velocity_[i]);
    }
  }

  double momentum_;
  std::vector<at::Tensor> velocity_;
};

}  // namespace

std::unique_ptr<Optimizer> make_momentum(const Options& options, std::vector<at::Tensor> parameters) {
  return std::make_unique<Momentum>(options.momentum, std::move(parameters));
}

}  // namespace grapes::optim
