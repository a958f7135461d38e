#include "grapes/data/delayed_xor.h"

#include "grapes/base/file.h"
#include "grapes/base/random.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

namespace grapes::data {
namespace {

DatasetPtr draw_xor(std::int64_t n, std::uint64_t seed, const std::vector<std::string>& classes) {
  constexpr std::int64_t cue = 2, shortest_delay = 5, longest_delay = 15, answer = 3, lines = 4;
  std::vector<at::Tensor> inputs;
  std::vector<std::int64_t> targets, lengths;
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
    inputs.push_back(steps);
    lengths.push_back(steps.size(0));
    targets.push_back(static_cast<std::int64_t>(first ^ second));
  }
  return sequences(at::cat(inputs), at::tensor(targets, at::kLong), at::tensor(lengths, at::kLong),
                   {ProblemKind::classification, {lines}, 2, classes, true});
}

}  // namespace

Collection make_delayed_xor(const SourceFiles& files) {
  return {.train = draw_xor(2000, 1, files.classes),
          .test = draw_xor(500, 2, files.classes),
          .fingerprint = sha256("delayed-xor/1")};
}

}  // namespace grapes::data
