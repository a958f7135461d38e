#include "grapes/base/random.h"
#include "grapes/continual/method.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

namespace grapes::continual {
namespace {

/// A memory with equally many examples of each class (Prabhu et al. 2020, algorithm 1). The same label in two tasks
/// counts as two classes. An example is stored while its class has less than its share; in a full memory it replaces a
/// random example of the largest class. Before a task is trained, all of its examples are offered. Then the network
/// learns the memory alone, from its initial weights, in as many updates as without the method.
class GDumb final : public Method {
 public:
  explicit GDumb(const MethodContext& context)
      : Method(context),
        slots_(at::full({context.options.replay_buffer, 2}, -1, at::kLong)),
        offered_(at::zeros({1}, at::kLong)) {
    for (const Task& task : context.scenario.tasks) targets_.push_back(task.train->targets().contiguous());
  }

  void begin(std::int64_t task) override { task_ = task; }

  std::vector<at::Tensor> batches(std::vector<at::Tensor> own, std::int64_t step) override {
    next_ = stored();
    if (offered_.item<std::int64_t>() == task_) {
      Random random(stream_seed(context_.seed, "gdumb", static_cast<std::uint64_t>(task_)));
      for (const at::Tensor& batch : own) offer(batch.contiguous(), random);
    }
    Random random(stream_seed(context_.seed, "gdumb order", static_cast<std::uint64_t>(step)));
    std::vector<std::int64_t> left;
    for (at::Tensor& batch : own) {
      at::Tensor other = at::empty_like(batch, at::MemoryFormat::Contiguous);
      for (std::int64_t b = 0; b < batch.size(0); ++b, left.pop_back()) {
        if (left.empty()) left = permutation(static_cast<std::int64_t>(next_.size()), random);
        const auto [task, row] = next_[static_cast<std::size_t>(left.back())];
        other.data_ptr<std::int64_t>()[2 * b] = task;
        other.data_ptr<std::int64_t>()[2 * b + 1] = row;
      }
      batch = other;
    }
    return own;
  }

  void end_epoch() override {
    for (std::size_t i = 0; i < next_.size(); ++i) {
      slots_.data_ptr<std::int64_t>()[2 * i] = next_[i].first;
      slots_.data_ptr<std::int64_t>()[2 * i + 1] = next_[i].second;
    }
    offered_.fill_(task_ + 1);
  }

  std::vector<State> state() override { return {{"buffer", slots_}, {"offered", offered_}}; }

 private:
  using Example = std::pair<std::int64_t, std::int64_t>;  // (task, row)
  using Class = std::pair<std::int64_t, std::int64_t>;    // (task, label)

  Class class_of(const Example& example) const {
    return {example.first, targets_[static_cast<std::size_t>(example.first)].data_ptr<std::int64_t>()[example.second]};
  }

  std::vector<Example> stored() const {
    std::vector<Example> all;
    const auto* slot = slots_.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < slots_.size(0) && slot[2 * i] >= 0; ++i)
      all.emplace_back(slot[2 * i], slot[2 * i + 1]);
    return all;
  }

  void offer(const at::Tensor& examples, Random& random) {
    std::map<Class, std::int64_t> counts;
    for (const Example& example : next_) ++counts[class_of(example)];
    for (std::int64_t b = 0; b < examples.size(0); ++b) {
      const auto* numbers = examples.data_ptr<std::int64_t>() + 2 * b;
      const Example example = {numbers[0], numbers[1]};
      std::int64_t& count = counts[class_of(example)];
      if (count * static_cast<std::int64_t>(counts.size()) >= slots_.size(0)) continue;
      if (static_cast<std::int64_t>(next_.size()) < slots_.size(0))
        next_.push_back(example);
      else
        replace_largest(counts, example, random);
      ++count;
    }
  }

  void replace_largest(std::map<Class, std::int64_t>& counts, const Example& by, Random& random) {
    const auto largest = std::max_element(counts.begin(), counts.end(),
                                          [](const auto& a, const auto& b) { return a.second < b.second; });
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < next_.size(); ++i)
      if (class_of(next_[i]) == largest->first) places.push_back(i);
    next_[places[random.below(places.size())]] = by;
    --largest->second;
  }

  at::Tensor slots_;    // [size, 2] (task, row)
  at::Tensor offered_;  // [1], number of tasks whose examples were offered
  std::vector<at::Tensor> targets_;
  std::vector<Example> next_;  // the memory at the end of the current epoch
  std::int64_t task_ = 0;
};

}  // namespace

std::unique_ptr<Method> make_gdumb(const MethodContext& context) { return std::make_unique<GDumb>(context); }

}  // namespace grapes::continual
