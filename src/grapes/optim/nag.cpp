#include "grapes/kernels/update.h"
#include "grapes/optim/rules.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

namespace grapes::optim {
namespace {

/// Nesterov's accelerated gradient: g at W - μ v;  v = μ v + η g;  W -= v. W is saved during the look-ahead, so
/// restore() returns it bit for bit.
class Nag final : public Optimizer {
 public:
  Nag(const Options& options, std::vector<Parameter> parameters)
      : Optimizer(options, std::move(parameters)),
        velocity_(keep("velocity", zeros_for(parameters_))),
        rest_(zeros_for(parameters_)) {}

  void restore() override {
    if (!ahead_) return;
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].value.copy_(rest_[i]);
    ahead_ = false;
  }

  std::vector<at::Tensor> parameters_without_lookahead() const override {
    return ahead_ ? rest_ : Optimizer::parameters_without_lookahead();
  }

 private:
  void look_ahead() override {
    if (ahead_) return;
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      kernels::nag_ahead(parameters_[i], velocity_[i], rest_[i], options_.momentum);
    ahead_ = true;
  }

  void before_updates() override {
    look_ahead();  // if begin() was not called: rest_ must be W
    ahead_ = false;
  }
  void update(std::size_t i, const kernels::Gradient& g, double rate) override {
    // No row sums: factors use those of the look-ahead weight, which look_ahead() computes.
    kernels::nag(parameters_[i].value, g, velocity_[i], rest_[i], {rate, options_.weight_decay}, options_.momentum);
  }

  std::vector<at::Tensor> velocity_;
  std::vector<at::Tensor> rest_;
  bool ahead_ = false;
};

}  // namespace

std::unique_ptr<Optimizer> make_nag(const Options& options, std::vector<Parameter> parameters) {
  return std::make_unique<Nag>(options, std::move(parameters));
}

}  // namespace grapes::optim
