#include "grapes/data/sequence.h"

#include "grapes/base/file.h"
#include "grapes/base/random.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace grapes::data {
namespace {

class SequenceSet final : public Dataset {
 public:
  SequenceSet(Sequences examples, DatasetInfo info) : examples_(std::move(examples)), info_(std::move(info)) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(examples_.inputs.size()); }
  const DatasetInfo& info() const override { return info_; }
  at::Tensor targets() const override {
    return examples_.classes.defined() ? examples_.classes : at::cat(examples_.bits).to(at::kFloat);
  }

  Batch get(const at::Tensor& rows, std::uint64_t) const override {
    const at::Tensor numbers = rows.contiguous();
    const std::int64_t batch = numbers.size(0);
    const auto example = [&](std::int64_t b) { return static_cast<std::size_t>(numbers.data_ptr<std::int64_t>()[b]); };
    std::int64_t time = 0;
    for (std::int64_t b = 0; b < batch; ++b) time = std::max(time, examples_.inputs.at(example(b)).size(0));
    std::vector<std::int64_t> shape = {time, batch};  // in memory step after step, as networks go through it
    shape.insert(shape.end(), info_.input_shape.begin(), info_.input_shape.end());
    Batch all{at::zeros(shape, at::kFloat).transpose(0, 1), {}, at::zeros({batch, time}, at::kBool)};
    if (!examples_.bits.empty()) all.targets = at::zeros({batch, time, info_.outputs}, at::kFloat);
    for (std::int64_t b = 0; b < batch; ++b) {
      const at::Tensor& inputs = examples_.inputs[example(b)];
      all.inputs[b].narrow(0, 0, inputs.size(0)).copy_(inputs);
      all.present[b].narrow(0, 0, inputs.size(0)).fill_(true);
      if (all.targets.defined()) all.targets[b].narrow(0, 0, inputs.size(0)).copy_(examples_.bits[example(b)]);
    }
    if (!all.targets.defined()) all.targets = examples_.classes.index_select(0, numbers);
    return all;
  }

 private:
  Sequences examples_;
  DatasetInfo info_;
};

Sequences draw_xor(std::int64_t n, std::uint64_t seed) {
  constexpr std::int64_t cue = 2, shortest_delay = 5, longest_delay = 15, answer = 3, lines = 4;
  Sequences examples;
  examples.classes = at::empty({n}, at::kLong);
  for (std::int64_t i = 0; i < n; ++i) {
    Random random(stream_seed(seed, "delayed-xor", static_cast<std::uint64_t>(i)));
    const std::uint64_t first = random.below(2), second = random.below(2);
    const auto delay = shortest_delay + static_cast<std::int64_t>(random.below(longest_delay - shortest_delay + 1));
    const at::Tensor steps = at::zeros({cue + delay + cue + answer, lines}, at::kByte);
    auto* at_step = steps.data_ptr<std::uint8_t>();
    const auto show = [&](std::int64_t begin, std::uint64_t bit) {
      for (std::int64_t t = begin; t < begin + cue; ++t)
        at_step[t * lines + static_cast<std::int64_t>(bit)] = at_step[t * lines + 2] = 1;
    };
    show(0, first);
    show(cue + delay, second);
    for (std::int64_t t = 0; t < steps.size(0); ++t) at_step[t * lines + 3] = random.below(5) == 0 ? 1 : 0;
    examples.inputs.push_back(steps);
    examples.classes[i] = static_cast<std::int64_t>(first ^ second);
  }
  return examples;
}

}  // namespace

Sequences select(const Sequences& examples, const at::Tensor& rows) {
  Sequences chosen;
  if (examples.classes.defined()) chosen.classes = examples.classes.index_select(0, rows);
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    const auto row = static_cast<std::size_t>(rows[i].item<std::int64_t>());
    chosen.inputs.push_back(examples.inputs.at(row));
    if (!examples.bits.empty()) chosen.bits.push_back(examples.bits.at(row));
  }
  return chosen;
}

DatasetPtr sequences(Sequences examples, DatasetInfo info) {
  return std::make_shared<SequenceSet>(std::move(examples), std::move(info));
}

SequenceCollection delayed_xor() {
  SequenceCollection all;
  all.info = {ProblemKind::classification, {4}, 2, {"same", "different"}, true};
  all.train = draw_xor(2000, 1);
  all.test = draw_xor(500, 2);
  all.fingerprint = sha256("delayed-xor/1");
  return all;
}

}  // namespace grapes::data
