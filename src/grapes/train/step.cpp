#include "grapes/train/step.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

namespace grapes::train {

namespace {

/// Gradients of a network, set aside: the parameters then have none.
class SetAside {
 public:
  explicit SetAside(const nn::Network& model) : parameters_(model.parameters()) {
    for (const nn::Named& one : parameters_) {
      gradients_.push_back(one.value.grad());
      at::Tensor(one.value).mutable_grad().reset();
    }
  }
  /// Adds them to the gradients that the parameters have now.
  void add() const {
    for (std::size_t i = 0; i < gradients_.size(); ++i) {
      at::Tensor& now = at::Tensor(parameters_[i].value).mutable_grad();
      if (gradients_[i].defined()) now = now.defined() ? now + gradients_[i] : gradients_[i];
    }
  }

 private:
  std::vector<nn::Named> parameters_;
  std::vector<at::Tensor> gradients_;
};

/// Calls visit(l, gradients of the layer's parameters) for each layer.
template <class Visit>
void each_layer(const nn::Network& model, Visit visit) {
  const std::vector<nn::Named> parameters = model.parameters();
  const std::vector<nn::Network::Weight> weights = model.weights();
  for (std::size_t l = 0; l < weights.size(); ++l) {
    const std::string prefix = weights[l].layer + ".";
    std::vector<at::Tensor> gradients;
    for (const nn::Named& one : parameters)
      if (one.name.starts_with(prefix) && one.value.grad().defined()) gradients.push_back(one.value.grad());
    visit(l, gradients);
  }
}

double norm(const std::vector<at::Tensor>& tensors) {
  double sum = 0;
  for (const at::Tensor& one : tensors) sum += std::pow(one.norm().item<double>(), 2);
  return std::sqrt(sum);
}

/// Gives the gradient of every layer the norm that it has with the factors of the matched modulation (control
/// norm-matched): the whole layer's, with its biases.
class Matched {
 public:
  /// Makes the reference pass. @param backward  runs a pass forward and backward
  template <class Backward>
  Matched(const nn::Network& model, nn::Pass pass, Backward backward) : model_(model), carried_(model) {
    std::vector<at::Tensor> buffers;  // a pass changes running statistics, and this one is not part of the training
    for (const nn::Named& one : model.buffers()) buffers.push_back(one.value.clone());
    pass.reference = true;
    backward(pass);
    each_layer(model, [this](std::size_t, const auto& gradients) { norms_.push_back(norm(gradients)); });
    const SetAside unused(model);
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < buffers.size(); ++i) at::Tensor(model.buffers()[i].value).copy_(buffers[i]);
  }
  /// Scales the gradients of the pass without factors, and adds those that were carried over from earlier batches.
  void apply() const {
    const at::NoGradGuard no_grad;
    each_layer(model_, [this](std::size_t l, const auto& gradients) {
      const double now = norm(gradients);
      if (!(now * largest_ratio > norms_[l])) return;
      for (at::Tensor one : gradients) one.mul_(norms_[l] / now);
    });
    carried_.add();
  }

 private:
  /// A gradient that is smaller by more than this is 0 or a rounding error, and has no direction. It is not scaled.
  static constexpr double largest_ratio = 1e7;
  const nn::Network& model_;
  SetAside carried_;
  std::vector<double> norms_;
};

}  // namespace

StepResult step(TrainState& state, const data::Batch& batch, nn::Pass pass, const StepOptions& options) {
  nn::Network& model = *state.model;
  optim::Optimizer& optimizer = *state.optimizer;
  pass.training = true;
  pass.present = batch.present;
  pass.plain = options.plain;
  const bool may_fuse = options.update && optimizer.updates_inside() && model.updates_inside(pass);
  const bool needs_gradients =
      options.before_update || options.carried || options.sharing != nullptr || model.matches();
  if (model.matches() && options.sharing != nullptr)
    throw UsageError("modulation", model.rule().modulation +
                                       " is not supported in several processes, nor with accumulate above 1: it needs "
                                       "the gradient of the whole batch");
  if (model.requires_fused_update() && (!may_fuse || needs_gradients || !optimizer.is_plain_sgd()))
    throw UsageError(
        "optimizer",
        "must be sgd without weight decay for a network that learns by pulses, and nothing else may need its "
        "gradients");
  const bool wants_gradients = needs_gradients || !options.fused_update || options.gradient_norms != nullptr;
  const bool fused = may_fuse && (!wants_gradients || model.requires_fused_update());
  if (fused) {
    pass.learn = [&optimizer, rate = options.rate](const at::Tensor& parameter, const kernels::Gradient& g) {
      optimizer.learn(parameter, g, rate);
    };
    pass.rate = options.rate;
  }
  std::vector<at::Tensor> before;  // without look-ahead
  if (options.update_norms != nullptr)
    for (const nn::Named& one : model.parameters()) before.push_back(one.value.detach().clone());
  optimizer.begin();
  if (options.factors_at_rest) pass.factor_weights = optimizer.parameters_without_lookahead();
  at::Tensor logits;
  const auto forward = [&](const nn::Pass& with) {
    const at::Tensor all = model.forward(batch.inputs, with);
    logits = options.select_head ? options.select_head(all) : all;
    return options.loss ? options.loss(all) : state.criterion.loss(logits, batch.targets, batch.present);
  };
  const auto backward = [&](const at::Tensor& loss) {
    (options.weight == 1 ? loss : loss * options.weight).backward();
  };
  std::optional<Matched> matched;
  if (model.matches()) matched.emplace(model, pass, [&](const nn::Pass& with) { backward(forward(with)); });
  const at::Tensor loss = forward(pass);
  StepResult result{logits.detach().cpu(), loss.item<double>()};
  // A process whose loss is not finite continues until the other processes know it.
  if (!std::isfinite(result.loss) && options.sharing == nullptr) {
    optimizer.restore();
    return result;
  }
  if (options.sharing != nullptr) options.sharing->begin(result.loss, options.weight, options.update);
  backward(loss);
  if (matched) matched->apply();
  if (options.sharing != nullptr && options.update && !options.sharing->finish()) {
    optimizer.restore();
    return result;
  }
  model.mirror_gradients();
  if (options.gradient_norms != nullptr) {
    options.gradient_norms->clear();
    for (const nn::Named& parameter : fused ? std::vector<nn::Named>() : model.parameters())
      options.gradient_norms->push_back(parameter.value.grad().defined() ? parameter.value.grad().norm().item<double>()
                                                                         : 0.0);
  }
  if (options.before_update) options.before_update();
  result.updated = options.update;
  if (!options.update)
    optimizer.restore();
  else if (!model.requires_fused_update())
    optimizer.step(options.rate);
  if (options.update_norms != nullptr) {
    options.update_norms->clear();
    const std::vector<nn::Named> after = model.parameters();
    for (std::size_t i = 0; i < after.size(); ++i)
      options.update_norms->push_back((after[i].value.detach() - before[i]).norm().item<double>());
  }
  if (result.updated && options.after_update) options.after_update(result);
  return result;
}

}  // namespace grapes::train
