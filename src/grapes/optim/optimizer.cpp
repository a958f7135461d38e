#include "grapes/optim/optimizer.h"

#include "grapes/base/random.h"
#include "grapes/base/table.h"
#include "grapes/optim/rules.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace grapes::optim {
namespace {

void require(bool holds, const std::string& field, const std::string& expected, double got) {
  if (!holds) throw UsageError(field, "must be " + expected + "; got " + shortest(got));
}

/// Stores the new weight in the parameter's format: W = Q(before + Q_update(W - before)).
void hold(at::Tensor W, const at::Tensor& before, const kernels::Storage& storage, std::size_t i) {
  at::Tensor after = W;
  if (storage.update)
    after = before.add(kernels::rounded(W.sub(before), storage.update, 0, stream_seed(storage.key, "update", i)));
  W.copy_(kernels::rounded(after, storage.value, 0, stream_seed(storage.key, "held", i)));
}

}  // namespace

Optimizer::Optimizer(const Options& options, std::vector<Parameter> parameters)
    : options_(options), parameters_(std::move(parameters)) {}

void Optimizer::step(double rate) {
  const at::NoGradGuard no_grad;
  // The values before a look-ahead rule returns to W.
  std::vector<at::Tensor> before = parameters_without_lookahead();
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    before[i] = parameters_[i].storage ? before[i].clone() : at::Tensor();
  before_updates();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& W = parameters_[i].value;
    update(i, W.grad().defined() ? W.grad() : at::zeros_like(W), rate);
    if (parameters_[i].storage) hold(W, before[i], *parameters_[i].storage, i);
    W.mutable_grad().reset();
  }
}

std::vector<at::Tensor> Optimizer::parameters_without_lookahead() const {
  std::vector<at::Tensor> all;
  for (const Parameter& parameter : parameters_) all.push_back(parameter.value);
  return all;
}

const std::vector<Row>& optimizers() {
  static const std::vector<Row> rows = {
      {"sgd", "W -= η g", make_sgd},
      {"momentum", "v = μ v + η g;  W -= v", make_momentum},
      {"nag", "as momentum, with the gradient at the look-ahead weights W - μ v (Nesterov)", make_nag},
      {"rmsprop", "q = ρ q + (1-ρ) g²;  W -= η g / √(q + ε)", make_rmsprop},
      {"adam", "m, v bias-corrected;  W -= η m / (√v + ε) (Kingma and Ba 2015)", make_adam},
  };
  return rows;
}

std::unique_ptr<Optimizer> make_optimizer(const Options& options, std::vector<Parameter> parameters) {
  const Row& row = find_row(optimizers(), "optimizer", options.optimizer);
  require(options.learning_rate > 0 && std::isfinite(options.learning_rate), "learning_rate", "a finite number above 0",
          options.learning_rate);
  require(options.momentum >= 0 && options.momentum < 1, "momentum", "at least 0 and below 1", options.momentum);
  require(options.rho >= 0 && options.rho < 1, "rho", "at least 0 and below 1", options.rho);
  require(options.beta1 >= 0 && options.beta1 < 1, "beta1", "at least 0 and below 1", options.beta1);
  require(options.beta2 >= 0 && options.beta2 < 1, "beta2", "at least 0 and below 1", options.beta2);
  require(options.epsilon > 0 && std::isfinite(options.epsilon), "epsilon", "a finite number above 0", options.epsilon);
  require(options.weight_decay >= 0 && std::isfinite(options.weight_decay), "weight_decay",
          "a finite number, at least 0", options.weight_decay);
  if (options.optimizer == "nag")
    for (const Parameter& parameter : parameters)
      if (parameter.storage && parameter.storage->value)
        throw UsageError("optimizer",
                         "nag does not support weights in a number format, because its look-ahead weights are not "
                         "quantized; use momentum, or weights with a float32 master");
  return row.make(options, std::move(parameters));
}

}  // namespace grapes::optim
