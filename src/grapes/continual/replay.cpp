#include "grapes/base/error.h"
#include "grapes/base/random.h"
#include "grapes/continual/memory.h"
#include "grapes/continual/method.h"

#include <ATen/ATen.h>

#include <utility>

namespace grapes::continual {
namespace {

/// Joins each batch with one or more draws from a memory, before the batch's own examples are offered to it. All of
/// them pass through the network together.
class Rehearsal : public Method {
 public:
  Rehearsal(const MethodContext& context, std::uint64_t draws)
      : Method(context), memory_(context.options.replay_buffer), next_(context.options.replay_buffer), draws_(draws) {}

  std::vector<at::Tensor> batches(std::vector<at::Tensor> own, std::int64_t step) override {
    next_.copy_(memory_);
    joined_.clear();
    first_step_ = step;
    for (at::Tensor& batch : own) {
      const auto number = static_cast<std::uint64_t>(step++);
      const std::int64_t n = batch.size(0), count = context_.options.replay_batch;
      Joined joined{n, {}, {}};
      std::vector<at::Tensor> parts = {batch};
      for (std::uint64_t d = 0; d < draws_; ++d) {
        const at::Tensor slots = next_.draw(count > 0 ? count : n, stream_seed(context_.seed, "replay", number, d));
        if (slots.numel() == 0) break;
        joined.drawn.push_back(slots);
        parts.push_back(next_.examples(slots));
      }
      joined.stored = next_.offer(batch, stream_seed(context_.seed, "reservoir", number));
      joined_.push_back(std::move(joined));
      batch = at::cat(parts);
    }
    return own;
  }

  void end_epoch() override { memory_.copy_(next_); }

  std::vector<State> state() override { return {{"buffer", memory_.slots()}, {"seen", memory_.seen()}}; }

 protected:
  /// A batch as batches() has composed it.
  struct Joined {
    std::int64_t own;               // number of its own examples
    std::vector<at::Tensor> drawn;  // slots of each draw, [drawn]
    at::Tensor stored;              // [own], the slot in which each of its own examples is stored after the step; or -1
  };
  const Joined& joined(const TaskBatch& batch) const {
    return joined_[static_cast<std::size_t>(batch.step - first_step_)];
  }

  /// Answers and targets of the batch's own examples, or of a draw.
  struct Part {
    at::Tensor answers, targets;
  };
  /// @return the batch's own examples, then each draw
  std::vector<Part> parts(const TaskBatch& batch, const at::Tensor& logits) const {
    const Joined& sizes = joined(batch);
    const at::Tensor all = answers(context_.scenario, logits, batch.tasks);
    const at::Tensor ordered = all.index_select(0, batch.rows.to(all.device())),
                     targets = batch.batch.targets.index_select(0, batch.rows);
    std::vector<Part> parts = {{ordered.narrow(0, 0, sizes.own), targets.narrow(0, 0, sizes.own)}};
    std::int64_t begin = sizes.own;
    for (const at::Tensor& slots : sizes.drawn) {
      parts.push_back({ordered.narrow(0, begin, slots.numel()), targets.narrow(0, begin, slots.numel())});
      begin += slots.numel();
    }
    return parts;
  }
  at::Tensor loss_of(const Part& part) const { return context_.criterion.loss(part.answers, part.targets); }

 private:
  Memory memory_, next_;  // at the start and at the end of the current epoch
  const std::uint64_t draws_;
  std::vector<Joined> joined_;  // batches of the current epoch
  std::int64_t first_step_ = 0;
};

/// The mean loss over a batch's own examples and as many stored ones (Chaudhry et al. 2019).
class Replay final : public Rehearsal {
 public:
  explicit Replay(const MethodContext& context) : Rehearsal(context, 1) {}
};

/// L(own) + α ‖z - z'‖² / (n K) + β L(stored), where z' are the K logits that the n drawn examples had when they were
/// stored. β belongs to DER++ and to a second draw (Buzzega et al. 2020, equations 5 and 6; the mean over examples and
/// logits is their program's).
class Der final : public Rehearsal {
 public:
  Der(const MethodContext& context, bool plus) : Rehearsal(context, plus ? 2 : 1) {
    const Scenario& scenario = context.scenario;
    const std::int64_t width = scenario.heads.defined() ? scenario.heads.size(1) : scenario.info.outputs;
    logits_ = at::zeros({context.options.replay_buffer, width},
                        context.model.parameters().front().value.options().device(at::kCPU).requires_grad(false));
  }

  at::Tensor loss(const TaskBatch& batch, const at::Tensor& logits) override {
    const std::vector<Part> part = parts(batch, logits);
    at::Tensor sum = loss_of(part[0]);
    if (part.size() > 1) {
      const at::Tensor before = logits_.index_select(0, joined(batch).drawn[0]).to(logits.options());
      sum = sum + context_.options.der_alpha * (part[1].answers - before).square().mean();
    }
    if (part.size() > 2) sum = sum + context_.options.der_beta * loss_of(part[2]);
    return sum;
  }

  void after_update(const TaskBatch& batch, const at::Tensor& answers) override {
    const at::Tensor stored = joined(batch).stored;
    const at::Tensor own = answers.index_select(0, batch.rows.narrow(0, 0, stored.numel()));
    const auto* slot = stored.data_ptr<std::int64_t>();
    for (std::int64_t b = 0; b < own.size(0); ++b)
      if (slot[b] >= 0) logits_[slot[b]].copy_(own[b]);
  }

  std::vector<State> state() override {
    std::vector<State> all = Rehearsal::state();
    all.push_back({"logits", logits_});
    return all;
  }

 private:
  at::Tensor logits_;  // [size, answers], of what is stored now
};

/// L(own, among the classes of the own examples) + L(stored, among all classes) (Caccia et al. 2022, equation 4).
class ErAce final : public Rehearsal {
 public:
  explicit ErAce(const MethodContext& context) : Rehearsal(context, 1) {
    if (context.criterion.name() != "cross-entropy")
      throw UsageError("loss", "must be cross-entropy for the method er-ace; got " + context.criterion.name());
  }

  at::Tensor loss(const TaskBatch& batch, const at::Tensor& logits) override {
    const std::vector<Part> part = parts(batch, logits);
    const at::Tensor classes = std::get<0>(at::_unique(part[0].targets, /*sorted=*/true));
    const Part own = {part[0].answers.index_select(1, classes.to(logits.device())),
                      at::searchsorted(classes, part[0].targets)};
    const at::Tensor sum = loss_of(own);
    return part.size() > 1 ? sum + loss_of(part[1]) : sum;
  }
};

}  // namespace

std::unique_ptr<Method> make_replay(const MethodContext& context) { return std::make_unique<Replay>(context); }
std::unique_ptr<Method> make_der(const MethodContext& context) { return std::make_unique<Der>(context, false); }
std::unique_ptr<Method> make_der_plus(const MethodContext& context) { return std::make_unique<Der>(context, true); }
std::unique_ptr<Method> make_er_ace(const MethodContext& context) { return std::make_unique<ErAce>(context); }

}  // namespace grapes::continual
