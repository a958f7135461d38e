#include "grapes/kernels/update.h"
#include "grapes/optim/rules.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

namespace grapes::optim {
namespace {

/// v = μ v + η t (g + λ W);  W -= v, with the trust ratio t = |W| / (|g| + λ |W|) of each weight (You, Gitman and
/// Ginsburg 2017). The paper's trust coefficient is part of η: with μ = 0, a step changes a weight by the fraction η of
/// its norm, apart from the decay.
class Lars final : public Optimizer {
 public:
  Lars(const Options& options, std::vector<Parameter> parameters)
      : Optimizer(options, std::move(parameters)), velocity_(keep("velocity", zeros_for(parameters_))) {}

 private:
  void update(std::size_t i, const kernels::Gradient& given, double rate) override {
    const at::Tensor& g = given.value;
    const at::Tensor& W = parameters_[i].value;
    const double size = W.norm().item<double>(), slope = g.norm().item<double>() + options_.weight_decay * size;
    kernels::momentum(parameters_[i], g, velocity_[i], {rate * trust_ratio(W, size, slope), options_.weight_decay},
                      options_.momentum);
  }

  std::vector<at::Tensor> velocity_;
};

}  // namespace

std::unique_ptr<Optimizer> make_lars(const Options& options, std::vector<Parameter> parameters) {
  return std::make_unique<Lars>(options, std::move(parameters));
}

}  // namespace grapes::optim
