#include "grapes/optim/rules.h"

#include <ATen/ATen.h>

namespace grapes::optim {
namespace {

/// W -= η g
class Sgd final : public Optimizer {
 public:
  using Optimizer::Optimizer;
  std::vector<State> state() override { return {}; }

 private:
  void update(double rate) override {
    for (const at::Tensor& W : parameters_) W.sub_(W.grad(), rate);
  }
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(const Options&, std::vector<at::Tensor> parameters) {
  return std::make_unique<Sgd>(std::move(parameters));
}

}  // namespace grapes::optim
