#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::continual {

/// A memory that contains every example seen so far with equal probability (Vitter's algorithm R). It stores numbers of
/// examples, because the examples themselves do not change.
class Memory {
 public:
  explicit Memory(std::int64_t size);
  Memory clone() const;
  void copy_(const Memory& other);

  /// Shows examples to the memory, in their order. @param examples  [n, 2] (task, row) @param seed  of the draw
  /// @return [n] int64, the slot in which each was stored; -1: not stored
  at::Tensor offer(const at::Tensor& examples, std::uint64_t seed);
  /// Draws different slots. @return [count] int64, or all if fewer are filled
  at::Tensor draw(std::int64_t count, std::uint64_t seed) const;
  /// Returns the examples in some slots, [n, 2] (task, row).
  at::Tensor examples(const at::Tensor& slots) const;

  at::Tensor slots() const { return slots_; }  ///< [size, 2] (task, row), not a copy
  at::Tensor seen() const { return seen_; }    ///< [1] int64, number of examples offered so far, not a copy

 private:
  at::Tensor slots_, seen_;
};

}  // namespace grapes::continual
