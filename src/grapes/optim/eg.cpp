#include "grapes/kernels/update.h"
#include "grapes/optim/rules.h"

#include <ATen/ATen.h>

namespace grapes::optim {
namespace {

/// W *= exp(-η sign(W) (g + λ W)): each weight changes by a factor, so that it keeps its sign, and a weight of 0 stays
/// 0 (Kivinen and Warmuth 1997; with signs, Cornford et al. 2024). A parameter with one axis, such as a bias, starts at
/// 0 and may need either sign. It learns by plain SGD, as in that paper.
class ExponentiatedGradient final : public Optimizer {
 public:
  using Optimizer::Optimizer;

 private:
  void update(std::size_t i, const kernels::Gradient& g, double rate) override {
    const at::Tensor& W = parameters_[i].value;
    if (W.dim() < 2) return kernels::sgd(parameters_[i], g, {rate, options_.weight_decay});
    W.mul_((W.sign() * decayed(i, g.value)).mul_(-rate).exp_());
  }
};

}  // namespace

std::unique_ptr<Optimizer> make_eg(const Options& options, std::vector<Parameter> parameters) {
  return std::make_unique<ExponentiatedGradient>(options, std::move(parameters));
}

}  // namespace grapes::optim
