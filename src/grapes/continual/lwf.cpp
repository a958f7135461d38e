#include "grapes/continual/method.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace grapes::continual {
namespace {

/// Adds to the loss λ_o times the mean over old outputs of T² · cross-entropy(softmax(old logits / T), softmax(logits /
/// T)), on the examples of the current task (Li and Hoiem 2016). The old logits are those of the network at the start
/// of the task. Old outputs are each earlier task's own answers; with a single head they are the classes so far (all,
/// for permuted and rotated tasks). For a loss that is not a log-likelihood, it is the mean squared difference of the
/// outputs.
class Lwf final : public Method {
 public:
  explicit Lwf(const MethodContext& context) : Method(context), old_(plain_copy(context)) {}

  void begin(std::int64_t task) override { task_ = task; }

  at::Tensor loss(const TaskBatch& batch, const at::Tensor& logits) override {
    const at::Tensor own = Method::loss(batch, logits);
    if (task_ == 0) return own;
    at::Tensor taught;
    {
      const at::NoGradGuard no_grad;
      nn::Pass pass;
      pass.step = batch.step;
      pass.present = batch.batch.present;
      taught = old_->forward(batch.batch.inputs, pass);
    }
    at::Tensor sum;
    const std::vector<at::Tensor> heads = old_heads();
    for (const at::Tensor& head : heads) {
      const at::Tensor columns = head.to(logits.device());
      const at::Tensor one = distance(taught.index_select(1, columns), logits.index_select(1, columns));
      sum = sum.defined() ? sum + one : one;
    }
    return own + sum * (context_.options.lwf_strength / static_cast<double>(heads.size()));
  }

  void end(std::int64_t) override { old_ = plain_copy(context_); }

  std::vector<State> state() override {
    std::vector<State> all;
    for (const nn::Named& parameter : old_->parameters()) all.push_back({parameter.name, parameter.value.detach()});
    for (const nn::Named& buffer : old_->buffers()) all.push_back({buffer.name, buffer.value});
    return all;
  }

 private:
  /// The outputs of earlier tasks, one tensor per head.
  std::vector<at::Tensor> old_heads() const {
    const Scenario& scenario = context_.scenario;
    std::vector<at::Tensor> heads;
    if (scenario.heads.defined()) {
      for (std::int64_t k = 0; k < task_; ++k) heads.push_back(scenario.heads[k]);
    } else if (scenario.manifest["scenario"] == "class-incremental") {
      const auto each = scenario.info.outputs / static_cast<std::int64_t>(scenario.tasks.size());
      heads.push_back(at::arange(each * task_, at::kLong));
    } else {
      heads.push_back(at::arange(scenario.info.outputs, at::kLong));
    }
    return heads;
  }

  at::Tensor distance(const at::Tensor& taught, const at::Tensor& logits) const {
    if (context_.criterion.name() != "cross-entropy")
      return at::mse_loss(context_.criterion.prediction(logits), context_.criterion.prediction(taught));
    const double T = context_.options.lwf_temperature;
    return -(at::softmax(taught / T, 1) * at::log_softmax(logits / T, 1)).sum(1).mean() * (T * T);
  }

  std::unique_ptr<nn::Network> old_;
  std::int64_t task_ = 0;
};

}  // namespace

std::unique_ptr<Method> make_lwf(const MethodContext& context) { return std::make_unique<Lwf>(context); }

}  // namespace grapes::continual
