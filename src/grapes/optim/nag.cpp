#include "grapes/optim/rules.h"

#include <ATen/ATen.h>

namespace grapes::optim {
namespace {

/// Nesterov's accelerated gradient: g taken at W - μ v;  v = μ v + η g;  W -= v.
/// W is kept aside while looking ahead, so that settling gives it back bit for bit.
class Nag final : public Optimizer {
 public:
  Nag(double momentum, std::vector<at::Tensor> parameters)
      : Optimizer(std::move(parameters)),
        momentum_(momentum),
        velocity_(zeros_for(parameters_)),
        rest_(zeros_for(parameters_)) {}

  void begin() override {
    if (ahead_) return;
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      rest_[i].copy_(parameters_[i]);
      parameters_[i].sub_(velocity_[i], momentum_);
    }
    ahead_ = true;
  }

  void settle() override {
    if (!ahead_) return;
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].copy_(rest_[i]);
    ahead_ = false;
  }

  std::vector<at::Tensor> at_rest() const override { return ahead_ ? rest_ : parameters_; }

  std::vector<State> state() override {
    std::vector<State> all;
    add_state(all, "velocity", velocity_);
    return all;
  }

 private:
  void update(double rate) override {
    settle();
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      velocity_[i].mul_(momentum_).add_(parameters_[i].grad(), rate);
      parameters_[i].sub_(velocity_[i]);
    }
  }

  double momentum_;
  std::vector<at::Tensor> velocity_;
  std::vector<at::Tensor> rest_;
  bool ahead_ = false;
};

}  // namespace

std::unique_ptr<Optimizer> make_nag(const Options& options, std::vector<at::Tensor> parameters) {
  return std::make_unique<Nag>(options.momentum, std::move(parameters));
}

}  // namespace grapes::optim
