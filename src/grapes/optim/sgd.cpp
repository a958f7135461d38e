#include "grapes/kernels/update.h"
#include "grapes/optim/rules.h"

namespace grapes::optim {
namespace {

/// W -= η g
class Sgd final : public Optimizer {
 public:
  using Optimizer::Optimizer;
  bool is_plain_sgd() const override { return options_.weight_decay == 0; }

 private:
  void update(std::size_t i, const kernels::Gradient& g, double rate) override {
    kernels::sgd(parameters_[i], g, {rate, options_.weight_decay});
  }
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(const Options& options, std::vector<Parameter> parameters) {
  return std::make_unique<Sgd>(options, std::move(parameters));
}

}  // namespace grapes::optim
