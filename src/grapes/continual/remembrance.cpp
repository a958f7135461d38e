#include "grapes/base/random.h"
#include "grapes/continual/method.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace grapes::continual {
namespace {

/// λ_o times the mean over what was learnt before of T² · cross-entropy(softmax(old logits / T), softmax(logits / T)),
/// on the examples of the task under way (Li and Hoiem 2016). "Old" is the network as it was when the task began. What
/// was learnt before: each earlier task's own answers; where one head answers all, its classes so far (permuted and
/// rotated tasks: all). For a loss that is no log-likelihood, the mean squared difference of the outputs.
class Lwf final : public Method {
 public:
  explicit Lwf(const Setting& setting) : Method(setting), old_(setting.plain()) {
    for (const nn::Named& parameter : setting.model.parameters())
      kept_.push_back({parameter.name, parameter.value.detach().clone()});
  }

  void begin(std::int64_t task) override {
    task_ = task;
    const at::NoGradGuard no_grad;
    const std::vector<nn::Named> parameters = old_->parameters();
    for (std::size_t i = 0; i < kept_.size(); ++i) at::Tensor(parameters[i].value).copy_(kept_[i].value);
  }

  at::Tensor loss(const Lesson& lesson, const at::Tensor& logits) override {
    if (task_ == 0) return {};
    at::Tensor taught;
    {
      const at::NoGradGuard no_grad;
      nn::Pass pass;
      pass.step = lesson.step;
      pass.present = lesson.batch.present;
      taught = old_->forward(lesson.batch.inputs, pass);
    }
    at::Tensor sum;
    const std::vector<at::Tensor> heads = old_heads();
    for (const at::Tensor& head : heads) {
      const at::Tensor columns = head.to(logits.device());
      const at::Tensor one = distance(taught.index_select(1, columns), logits.index_select(1, columns));
      sum = sum.defined() ? sum + one : one;
    }
    return sum * (setting_.options.lwf_strength / static_cast<double>(heads.size()));
  }

  void end(std::int64_t) override {
    const at::NoGradGuard no_grad;
    const std::vector<nn::Named> parameters = setting_.model.parameters();
    for (std::size_t i = 0; i < kept_.size(); ++i) kept_[i].value.copy_(parameters[i].value);
  }

  std::vector<State> state() override { return kept_; }

 private:
  /// The outputs that were answers before this task, one tensor for each head.
  std::vector<at::Tensor> old_heads() const {
    const Scenario& scenario = setting_.scenario;
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

  at::Tensor distance(const at::Tensor& taught, const at::Tensor& said) const {
    if (setting_.criterion.name() != "cross-entropy")
      return at::mse_loss(setting_.criterion.prediction(said), setting_.criterion.prediction(taught));
    const double T = setting_.options.lwf_temperature;
    return -(at::softmax(taught / T, 1) * at::log_softmax(said / T, 1)).sum(1).mean() * (T * T);
  }

  std::unique_ptr<nn::Network> old_;
  std::vector<State> kept_;  // its weights
  std::int64_t task_ = 0;
};

/// A buffer that holds every example seen so far with equal probability (Vitter's algorithm R), and as many of it again
/// as a batch has (Chaudhry et al. 2019). Drawn before the batch's own examples are offered to it. It holds numbers of
/// examples, for the examples themselves do not change.
class Replay final : public Method {
 public:
  explicit Replay(const Setting& setting)
      : Method(setting),
        buffer_(at::full({setting.options.replay_buffer, 2}, -1, at::kLong)),
        seen_(at::zeros({1}, at::kLong)) {}

  at::Tensor examples(const at::Tensor& own, std::int64_t step) override {
    const std::int64_t filled = std::min(seen_.item<std::int64_t>(), buffer_.size(0));
    at::Tensor all = own;
    if (filled > 0) {
      Random random(stream_seed(setting_.seed, "replay", static_cast<std::uint64_t>(step)));
      std::vector<std::int64_t> drawn = permutation(filled, random);
      drawn.resize(static_cast<std::size_t>(std::min(filled, own.size(0))));
      all = at::cat({own, buffer_.index_select(0, at::tensor(drawn, at::kLong))});
    }
    offer(own.contiguous(), step);
    return all;
  }

  std::vector<State> state() override { return {{"buffer", buffer_}, {"seen", seen_}}; }

 private:
  void offer(const at::Tensor& own, std::int64_t step) {
    Random random(stream_seed(setting_.seed, "reservoir", static_cast<std::uint64_t>(step)));
    auto& seen = *seen_.data_ptr<std::int64_t>();
    auto* buffer = buffer_.data_ptr<std::int64_t>();
    const auto* example = own.data_ptr<std::int64_t>();
    for (std::int64_t b = 0; b < own.size(0); ++b, ++seen, example += 2) {
      const auto place = seen < buffer_.size(0) ? static_cast<std::uint64_t>(seen)
                                                : random.below(static_cast<std::uint64_t>(seen) + 1);
      if (place < static_cast<std::uint64_t>(buffer_.size(0))) std::copy_n(example, 2, buffer + 2 * place);
    }
  }

  at::Tensor buffer_;  // [size, 2] (task, row)
  at::Tensor seen_;    // [1], examples offered so far
};

}  // namespace

std::unique_ptr<Method> make_lwf(const Setting& setting) { return std::make_unique<Lwf>(setting); }
std::unique_ptr<Method> make_replay(const Setting& setting) { return std::make_unique<Replay>(setting); }

}  // namespace grapes::continual
