#include "grapes/kernels/update.h"
#include "grapes/optim/rules.h"

namespace grapes::optim {
namespace {

/// q = ρ q + (1-ρ) g²;  W -= η g / √(q + ε). ε is inside the root, as in the GRAPES authors' program.
class RmsProp final : public Optimizer {
 public:
  RmsProp(const Options& options, std::vector<Parameter> parameters)
      : Optimizer(options, std::move(parameters)), square_(keep("square", zeros_for(parameters_))) {}

 private:
  void update(std::size_t i, const kernels::Gradient& g, double rate) override {
    kernels::rmsprop(parameters_[i], g, square_[i], {rate, options_.weight_decay}, options_.rho, options_.epsilon);
  }

  std::vector<at::Tensor> square_;
};

}  // namespace

std::unique_ptr<Optimizer> make_rmsprop(const Options& options, std::vector<Parameter> parameters) {
  return std::make_unique<RmsProp>(options, std::move(parameters));
}

}  // namespace grapes::optim
