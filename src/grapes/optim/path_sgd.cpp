#include "grapes/kernels/update.h"
#include "grapes/optim/rules.h"

#include <ATen/ATen.h>

namespace grapes::optim {
namespace {

/// W -= η (g + λ W) / γ. γ of a weight is the sum, over all paths from an input to an output through this weight, of
/// the product of the squares of the other weights on the path (Neyshabur, Salakhutdinov and Srebro 2015). A weight on
/// no path has no gradient, and keeps its value.
class PathSgd final : public Optimizer {
 public:
  using Optimizer::Optimizer;

 private:
  void before_updates() override { sums_ = paths_(); }
  void update(std::size_t i, const kernels::Gradient& given, double rate) override {
    const at::Tensor& gradient = given.value;
    const at::Tensor &W = parameters_[i].value, &gamma = sums_[i], g = decayed(i, gradient);
    const at::Tensor step = at::where(gamma == 0, at::zeros_like(gamma), g.to(gamma.scalar_type()) / gamma);
    kernels::sgd(parameters_[i], step.to(W.scalar_type()), {rate});
  }

  std::vector<at::Tensor> sums_;
};

}  // namespace

std::unique_ptr<Optimizer> make_path_sgd(const Options& options, std::vector<Parameter> parameters) {
  return std::make_unique<PathSgd>(options, std::move(parameters));
}

}  // namespace grapes::optim
