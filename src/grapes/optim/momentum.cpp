#include "grapes/kernels/update.h"
#include "grapes/optim/rules.h"

namespace grapes::optim {
namespace {

/// v = μ v + η g;  W -= v. The rate is inside v, so a change of the rate does not affect earlier gradients in v.
class Momentum final : public Optimizer {
 public:
  Momentum(const Options& options, std::vector<Parameter> parameters)
      : Optimizer(options, std::move(parameters)), velocity_(keep("velocity", zeros_for(parameters_))) {}

 private:
  void update(std::size_t i, const kernels::Gradient& g, double rate) override {
    kernels::momentum(parameters_[i], g, velocity_[i], {rate, options_.weight_decay}, options_.momentum);
  }

  std::vector<at::Tensor> velocity_;
};

}  // namespace

std::unique_ptr<Optimizer> make_momentum(const Options& options, std::vector<Parameter> parameters) {
  return std::make_unique<Momentum>(options, std::move(parameters));
}

}  // namespace grapes::optim
