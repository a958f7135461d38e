#include "grapes/base/random.h"
#include "grapes/continual/memory.h"
#include "grapes/continual/method.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <utility>

namespace grapes::continual {
namespace {

/// g ← g - (gᵀr / rᵀr) r where gᵀr < 0. g is the gradient of a batch and r that of stored examples of earlier tasks,
/// both along the rule's route and modulated (Chaudhry et al. 2019, equation 11). A task's examples are offered to the
/// memory at its end.
class AGem final : public Method {
 public:
  explicit AGem(const MethodContext& context) : Method(context), memory_(context.options.replay_buffer) {}

  void begin(std::int64_t task) override { constrained_ = task > 0; }
  bool needs_gradients() const override { return constrained_; }

  void before_update(const TaskBatch& batch) override {
    const std::vector<at::Tensor> own = taken_gradients();
    reference_backward(batch);
    const std::vector<at::Tensor> reference = taken_gradients();
    double product = 0, square = 0;
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (!own[i].defined() || !reference[i].defined()) continue;
      product += (own[i] * reference[i]).sum().item<double>();
      square += reference[i].square().sum().item<double>();
    }
    const std::vector<nn::Named> parameters = context_.model.parameters();
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (product < 0 && own[i].defined() && reference[i].defined()) own[i].sub_(reference[i], product / square);
      at::Tensor(parameters[i].value).mutable_grad() = own[i];
    }
    context_.model.mirror_gradients();
  }

  void end(std::int64_t task) override {
    memory_.offer(context_.scenario.examples[static_cast<std::size_t>(task)],
                  stream_seed(context_.seed, "reservoir", static_cast<std::uint64_t>(task)));
  }

  std::vector<State> state() override { return {{"buffer", memory_.slots()}, {"seen", memory_.seen()}}; }

 private:
  /// Returns the gradients of all parameters, which then have none.
  std::vector<at::Tensor> taken_gradients() const {
    std::vector<at::Tensor> gradients;
    for (const nn::Named& parameter : context_.model.parameters())
      gradients.push_back(std::exchange(at::Tensor(parameter.value).mutable_grad(), at::Tensor()));
    return gradients;
  }

  void reference_backward(const TaskBatch& batch) {
    const std::int64_t count =
        context_.options.replay_batch > 0 ? context_.options.replay_batch : batch.batch.inputs.size(0);
    const at::Tensor examples = memory_.examples(
        memory_.draw(count, stream_seed(context_.seed, "replay", static_cast<std::uint64_t>(batch.step))));
    const TaskBatch stored = {make_batch(context_.scenario, examples, batch.step, context_.seed), tasks_of(examples),
                              rows_of(examples), batch.step};
    nn::Pass pass;
    pass.training = true;
    pass.seed = context_.seed;
    pass.step = batch.step;
    pass.present = stored.batch.present;
    loss(stored, context_.model.forward(stored.batch.inputs, pass)).backward();
  }

  Memory memory_;
  bool constrained_ = false;  // whether there was an earlier task
};

}  // namespace

std::unique_ptr<Method> make_a_gem(const MethodContext& context) { return std::make_unique<AGem>(context); }

}  // namespace grapes::continual
