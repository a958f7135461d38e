#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::kernels {

/// Inverted dropout of one layer and batch: 1/(1-p) with probability 1-p, else 0. The mask is a pure function of the
/// key, so that it need not be stored to run backwards, to resume or to check.
struct Dropout {
  double p = 0;           ///< probability to drop a node, 0 ... <1
  std::uint64_t key = 0;  ///< see dropout_key()
  at::Tensor mask;        ///< [batch, node], given from outside instead
  explicit operator bool() const { return p > 0 || mask.defined(); }
};

std::uint64_t dropout_key(std::uint64_t seed, std::int64_t step, std::size_t layer);

/// The whole mask. @return [batch, nodes]
at::Tensor dropout_mask(std::uint64_t key, std::int64_t batch, std::int64_t nodes, double p, at::ScalarType dtype);

/// One row of a mask, a piece at a time, into memory of its own.
template <class T>
class MaskRow {
 public:
  static constexpr std::int64_t piece = 512;
  explicit MaskRow(const Dropout& dropout);
  /// Columns begin ... begin+count-1 of row `row` of a mask with so many nodes; count <= piece, begin a multiple of it.
  /// Null where nothing is dropped.
  const T* at(std::int64_t row, std::int64_t begin, std::int64_t count, std::int64_t nodes);

 private:
  const T* given_;
  std::uint64_t key_;
  bool drawn_;
  std::uint32_t last_;
  T kept_;
  T values_[piece];
};

}  // namespace grapes::kernels
