#include "grapes/base/random.h"
#include "grapes/continual/method.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

namespace grapes::continual {
namespace {

/// A buffer that contains every example seen so far with equal probability (Vitter's algorithm R). Each batch is
/// extended by as many examples from the buffer (Chaudhry et al. 2019), which are drawn before the batch's own examples
/// are offered to it. The buffer stores numbers of examples, because the examples themselves do not change.
class Replay final : public Method {
 public:
  explicit Replay(const MethodContext& context)
      : Method(context),
        buffer_(at::full({context.options.replay_buffer, 2}, -1, at::kLong)),
        seen_(at::zeros({1}, at::kLong)) {}

  std::vector<at::Tensor> batches(std::vector<at::Tensor> own, std::int64_t step) override {
    next_buffer_ = buffer_.clone();
    next_seen_ = seen_.clone();
    for (at::Tensor& batch : own) {
      const at::Tensor all = with_replayed(batch, step);
      offer(batch.contiguous(), step++);
      batch = all;
    }
    return own;
  }

  void end_epoch() override {
    buffer_.copy_(next_buffer_);
    seen_.copy_(next_seen_);
  }

  std::vector<State> state() override { return {{"buffer", buffer_}, {"seen", seen_}}; }

 private:
  at::Tensor with_replayed(const at::Tensor& own, std::int64_t step) const {
    const std::int64_t filled = std::min(next_seen_.item<std::int64_t>(), next_buffer_.size(0));
    if (filled == 0) return own;
    Random random(stream_seed(context_.seed, "replay", static_cast<std::uint64_t>(step)));
    std::vector<std::int64_t> drawn = permutation(filled, random);
    drawn.resize(static_cast<std::size_t>(std::min(filled, own.size(0))));
    return at::cat({own, next_buffer_.index_select(0, at::tensor(drawn, at::kLong))});
  }

  void offer(const at::Tensor& own, std::int64_t step) {
    Random random(stream_seed(context_.seed, "reservoir", static_cast<std::uint64_t>(step)));
    const auto size = static_cast<std::uint64_t>(next_buffer_.size(0));
    auto& seen = *next_seen_.data_ptr<std::int64_t>();
    auto* buffer = next_buffer_.data_ptr<std::int64_t>();
    const auto* example = own.data_ptr<std::int64_t>();
    for (std::int64_t b = 0; b < own.size(0); ++b, ++seen, example += 2) {
      const auto count = static_cast<std::uint64_t>(seen);
      const std::uint64_t place = count < size ? count : random.below(count + 1);
      if (place < size) std::copy_n(example, 2, buffer + 2 * place);
    }
  }

  at::Tensor buffer_;                   // [size, 2] (task, row)
  at::Tensor seen_;                     // [1], number of examples offered so far
  at::Tensor next_buffer_, next_seen_;  // values at the end of the current epoch
};

}  // namespace

std::unique_ptr<Method> make_replay(const MethodContext& context) { return std::make_unique<Replay>(context); }

}  // namespace grapes::continual
