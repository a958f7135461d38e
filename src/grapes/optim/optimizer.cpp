#include "grapes/optim/optimizer.h"

#include "grapes/base/random.h"
#include "grapes/base/table.h"
#include "grapes/optim/rules.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
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
    : options_(options), parameters_(std::move(parameters)), learned_(parameters_.size()) {}

void Optimizer::begin() {
  learned_.assign(parameters_.size(), false);  // of a step that an error has ended
  started_ = false;
  look_ahead();
}

void Optimizer::step(double rate) {
  const at::NoGradGuard no_grad;
  // The values before a look-ahead rule returns to W.
  std::vector<at::Tensor> before = parameters_without_lookahead();
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    before[i] = parameters_[i].storage ? before[i].clone() : at::Tensor();
  start();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& W = parameters_[i].value;
    if (!learned_[i]) update(i, W.grad().defined() ? W.grad() : at::zeros_like(W), rate);
    if (parameters_[i].storage) hold(W, before[i], *parameters_[i].storage, i);
    W.mutable_grad().reset();
  }
  learned_.assign(parameters_.size(), false);
  started_ = false;
}

void Optimizer::start() {
  if (!started_) before_updates();
  started_ = true;
}

bool Optimizer::updates_inside() const {
  return elementwise_ && std::ranges::none_of(parameters_, [](const Parameter& one) { return one.storage != nullptr; });
}

void Optimizer::learn(const at::Tensor& parameter, const kernels::Gradient& g, double rate) {
  const at::NoGradGuard no_grad;
  start();
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    if (parameters_[i].value.is_same(parameter)) {
      update(i, g, rate);
      learned_[i] = true;
    }
}

std::vector<at::Tensor> Optimizer::keep(const std::string& name, std::vector<at::Tensor> tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) keep(name + "." + std::to_string(i), tensors[i]);
  return tensors;
}

at::Tensor Optimizer::keep(const std::string& name, at::Tensor tensor) {
  state_.push_back({name, tensor});
  return tensor;
}

at::Tensor Optimizer::decayed(std::size_t i, const at::Tensor& g) const {
  return options_.weight_decay == 0 ? g : g.add(parameters_[i].value, options_.weight_decay);
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
      {.name = "nag",
       .summary = "as momentum, with the gradient at the look-ahead weights W - μ v (Nesterov)",
       .make = make_nag,
       .exact = "its look-ahead weights"},
      {"rmsprop", "q = ρ q + (1-ρ) g²;  W -= η g / √(q + ε)", make_rmsprop},
      {"adam", "m, v bias-corrected;  W -= η m / (√v + ε) (Kingma and Ba 2015)", make_adam},
      {.name = "lars",
       .summary = "v = μ v + η |W| / |g| g;  W -= v, with the norms of each weight (You et al. 2017)",
       .make = make_lars,
       .elementwise = false},
      {.name = "lamb",
       .summary = "u = m / (√v + ε) as in adam;  W -= η |W| / |u| u, with the norms of each weight (You et al. 2020)",
       .make = make_lamb,
       .elementwise = false},
      {.name = "nero",
       .summary =
           "q = β₂ q + (1-β₂) |g|²;  W -= η g / √q for each unit; then its weights get mean 0 and norm 1 (Liu et "
           "al. 2021)",
       .make = make_nero,
       .elementwise = false,
       .exact = "its balanced weights"},
      {.name = "path-sgd",
       .summary =
           "W -= η g / γ, with γ summed over all paths through a weight: the product of the other squared weights "
           "(Neyshabur et al. 2015)",
       .make = make_path_sgd,
       .elementwise = false,
       .follows_paths = true},
      {.name = "eg",
       .summary = "W *= exp(-η sign(W) g), so that weights keep their signs; biases: W -= η g (exponentiated gradient; "
                  "Cornford et al. 2024)",
       .make = make_eg,
       .elementwise = false},
  };
  return rows;
}

const Row& row_of(const Options& options) { return find_row(optimizers(), "optimizer", options.optimizer); }

std::unique_ptr<Optimizer> make_optimizer(const Options& options, std::vector<Parameter> parameters, Paths paths) {
  const Row& row = row_of(options);
  require(options.learning_rate > 0 && std::isfinite(options.learning_rate), "learning_rate", "a finite number above 0",
          options.learning_rate);
  require(options.momentum >= 0 && options.momentum < 1, "momentum", "at least 0 and below 1", options.momentum);
  require(options.rho >= 0 && options.rho < 1, "rho", "at least 0 and below 1", options.rho);
  require(options.beta1 >= 0 && options.beta1 < 1, "beta1", "at least 0 and below 1", options.beta1);
  require(options.beta2 >= 0 && options.beta2 < 1, "beta2", "at least 0 and below 1", options.beta2);
  require(options.epsilon > 0 && std::isfinite(options.epsilon), "epsilon", "a finite number above 0", options.epsilon);
  require(options.weight_decay >= 0 && std::isfinite(options.weight_decay), "weight_decay",
          "a finite number, at least 0", options.weight_decay);
  const auto formatted = [](const Parameter& parameter) { return parameter.storage && parameter.storage->value; };
  if (!row.exact.empty() && std::ranges::any_of(parameters, formatted))
    throw UsageError("optimizer", row.name + " does not support weights in a number format, because " + row.exact +
                                      " are not quantized; use momentum, or weights with a float32 master");
  if (row.follows_paths && !paths)
    throw UsageError("optimizer", row.name + " needs the paths of a network, and these parameters have none");
  std::unique_ptr<Optimizer> made = row.make(options, std::move(parameters));
  made->paths_ = std::move(paths);
  made->elementwise_ = row.elementwise;
  return made;
}

}  // namespace grapes::optim
