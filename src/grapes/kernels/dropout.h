#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::kernels {

/// Inverted dropout of one layer and batch: the mask is 1/(1-p) with probability 1-p, else 0. It is a pure function of
/// the key, so it need not be stored for the backward pass or a checkpoint.
struct Dropout {
  double p = 0;            ///< probability that a unit is dropped, 0 ... <1
  std::uint64_t key = 0;   ///< see dropout_key()
  at::Tensor mask;         ///< given mask, [batch, unit], used instead
  std::int64_t first = 0;  ///< row of the mask for the first example, if only a part of a batch is computed
  explicit operator bool() const { return p > 0 || mask.defined(); }
};

std::uint64_t dropout_key(std::uint64_t seed, std::int64_t step, std::size_t layer);

/// Returns the whole mask, [batch, unit], or its rows first ... first+batch-1.
at::Tensor dropout_mask(std::uint64_t key, std::int64_t batch, std::int64_t nodes, double p, at::ScalarType dtype,
                        std::int64_t first = 0);

/// Computes one row of a mask in pieces, in its own memory.
template <class T>
class MaskRow {
 public:
  static constexpr std::int64_t piece = 512;
  explicit MaskRow(const Dropout& dropout);
  /// Returns columns begin ... begin+count-1 for example `row`, of a mask with `nodes` units; null if nothing is
  /// dropped.
  /// count must be at most `piece`, and begin a multiple of it.
  const T* at(std::int64_t row, std::int64_t begin, std::int64_t count, std::int64_t nodes);

 private:
  const T* given_;
  std::uint64_t key_;
  std::int64_t first_;
  bool drawn_;
  std::uint32_t last_;
  T kept_;
  T values_[piece];
};

}  // namespace grapes::kernels
