#include "grapes/continual/memory.h"

#include "grapes/base/random.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace grapes::continual {

Memory::Memory(std::int64_t size) : slots_(at::full({size, 2}, -1, at::kLong)), seen_(at::zeros({1}, at::kLong)) {}

Memory Memory::clone() const {
  Memory same(slots_.size(0));
  same.copy_(*this);
  return same;
}

void Memory::copy_(const Memory& other) {
  slots_.copy_(other.slots_);
  seen_.copy_(other.seen_);
}

at::Tensor Memory::offer(const at::Tensor& examples, std::uint64_t seed) {
  Random random(seed);
  const at::Tensor own = examples.contiguous();
  at::Tensor stored = at::full({own.size(0)}, -1, at::kLong);
  const auto size = static_cast<std::uint64_t>(slots_.size(0));
  auto& seen = *seen_.data_ptr<std::int64_t>();
  auto* slots = slots_.data_ptr<std::int64_t>();
  const auto* example = own.data_ptr<std::int64_t>();
  for (std::int64_t b = 0; b < own.size(0); ++b, ++seen, example += 2) {
    const auto count = static_cast<std::uint64_t>(seen);
    const std::uint64_t place = count < size ? count : random.below(count + 1);
    if (place >= size) continue;
    std::copy_n(example, 2, slots + 2 * place);
    stored.data_ptr<std::int64_t>()[b] = static_cast<std::int64_t>(place);
  }
  return stored;
}

at::Tensor Memory::draw(std::int64_t count, std::uint64_t seed) const {
  Random random(seed);
  const std::int64_t filled = std::min(seen_.item<std::int64_t>(), slots_.size(0));
  std::vector<std::int64_t> drawn = permutation(filled, random);
  drawn.resize(static_cast<std::size_t>(std::min(filled, count)));
  return at::tensor(drawn, at::kLong);
}

at::Tensor Memory::examples(const at::Tensor& slots) const { return slots_.index_select(0, slots); }

}  // namespace grapes::continual
