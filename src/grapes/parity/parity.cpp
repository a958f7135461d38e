#include "grapes/parity/parity.h"

#include "grapes/data/sampler.h"
#include "grapes/nn/loss.h"
#include "grapes/train/loop.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace grapes::parity {
namespace {

/// The error at the logits z is f(z) - t, as in the authors' program for every output function, which omits f'. The
/// value of the loss is not used.
template <at::Tensor (*f)(const at::Tensor&)>
nn::Criterion without_derivative() {
  static const nn::Loss loss = {
      "without derivative", "a (f(a) - t)", "", true,
      [](const at::Tensor& a, const at::Tensor& classes, const at::Tensor&) {
        return (a * (f(a.detach()) - at::one_hot(classes, a.size(1)).to(a.scalar_type()))).sum(1).mean();
      }};
  return {loss, f};
}

nn::Criterion criterion_of(const std::string& output) {
  if (output == "sigmoid") return without_derivative<at::sigmoid>();
  if (output == "tanh") return without_derivative<at::tanh>();
  return {"cross-entropy", output, nn::TargetKind::classes};
}

void place(const std::vector<at::Tensor>& from, const std::vector<nn::Named>& into) {
  TORCH_INTERNAL_ASSERT(from.size() == into.size());
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < into.size(); ++i) at::Tensor(into[i].value).copy_(from[i]);
}

/// Keeps the largest absolute difference of the compared numbers.
void keep_largest(std::optional<double>& largest, const at::Tensor& ours, const at::Tensor& theirs) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double difference = infinity;
  if (ours.defined() && ours.numel() == theirs.numel())
    difference = (ours.detach().to(at::kDouble).view_as(theirs) - theirs).abs().max().item<double>();
  largest = std::max(largest.value_or(0), difference == difference ? difference : infinity);
}

/// A case during training.
class Comparison {
 public:
  Comparison(const Case& recorded, const Options& options)
      : case_(recorded), options_(options), state_(network(), recorded.optimizer, recorded.training, info()) {
    state_.criterion = criterion_of(recorded.output);
    place(recorded.weights, state_.model->parameters());
    place(recorded.feedback, state_.model->buffers());
    result_.tolerance = options.dtype == at::kDouble ? 1e-12 : 2e-6;
  }

  Result run() {
    const data::DatasetPtr examples = data::memory(case_.inputs.to(at::kFloat), case_.labels, info());
    train::LoopCallbacks callbacks;
    callbacks.epoch = [&] {
      const auto make = [&](const at::Tensor& rows, std::int64_t) {
        return data::Batch{case_.inputs.index_select(0, rows).to(options_.dtype), case_.labels.index_select(0, rows)};
      };
      return train::Epoch{data::file_order(examples->size()).split(case_.training.batch_size), make};
    };
    callbacks.before_step = [&](const data::Batch& batch, nn::Pass& pass, train::StepOptions& step) {
      step.plain = options_.plain;
      for (const at::Tensor& mask : case_.masks)
        pass.masks.push_back(mask.narrow(0, sample(), batch.inputs.size(0)).to(options_.dtype));
    };
    callbacks.after_step = [&](const train::StepResult& step) { compare(step); };
    train::Loop(state_, case_.training, *examples, callbacks).run();
    for (const auto& [k, weights] : case_.weights_after)
      if (!result_.weights.contains(k)) compare_weights(k, {});  // diverged
    if (outputs_) result_.lines.push_back({"outputs", *outputs_});
    if (factors_) result_.lines.push_back({"factors", *factors_});
    return result_;
  }

 private:
  nn::Options network() const {
    nn::Options network = case_.network;
    network.precision.dtype = options_.dtype;
    return network;
  }
  data::DatasetInfo info() const {
    data::DatasetInfo info;
    info.input_shape = {case_.layers.front()};
    info.outputs = case_.layers.back();
    return info;
  }
  /// The first example of the batch, in training order.
  std::int64_t sample() const {
    return state_.progress.epoch * case_.inputs.size(0) + state_.progress.batch * case_.training.batch_size;
  }

  void compare(const train::StepResult& step) {
    if (case_.outputs.defined())
      keep_largest(outputs_, state_.criterion.prediction(step.logits),
                   case_.outputs.narrow(0, sample(), step.logits.size(0)));
    for (const Case::Factor& theirs : case_.factors)
      if (theirs.sample == sample()) {
        const credit::Factors& ours = state_.model->factors().at(theirs.layer);
        keep_largest(factors_, theirs.columns ? ours.columns : ours.error, theirs.values);
      }
    if (!step.updated) return;
    std::vector<at::Tensor> weights;
    for (const nn::Named& parameter : state_.model->parameters()) weights.push_back(parameter.value.detach().clone());
    if (++updates_; case_.weights_after.contains(updates_)) compare_weights(updates_, std::move(weights));
  }

  void compare_weights(std::int64_t k, std::vector<at::Tensor> ours) {
    const std::vector<at::Tensor>& theirs = case_.weights_after.at(k);
    std::optional<double> largest;
    for (std::size_t l = 0; l < theirs.size(); ++l)
      keep_largest(largest, l < ours.size() ? ours[l] : at::Tensor(), theirs[l]);
    result_.lines.push_back({fmt::format("weights after {} update{}", k, k == 1 ? "" : "s"), *largest});
    result_.weights[k] = std::move(ours);
  }

  const Case& case_;
  const Options& options_;
  train::TrainState state_;
  std::int64_t updates_ = 0;
  std::optional<double> outputs_, factors_;
  Result result_;
};

}  // namespace

bool Result::passed() const {
  return !lines.empty() &&
         std::all_of(lines.begin(), lines.end(), [&](const Line& line) { return line.difference <= tolerance; });
}

Result compare(const Case& recorded, const Options& options) { return Comparison(recorded, options).run(); }

}  // namespace grapes::parity
