#pragma once

#include "grapes/kernels/number_format.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace grapes::kernels {

/// Σ |W[n, ...]| per row: the responsibility of each node (Dellaferrera et al. 2022).
/// @param W  [rows, ...], floating point
/// @return [rows], no gradient
at::Tensor abs_sums(const at::Tensor& W);
namespace plain {
at::Tensor abs_sums(const at::Tensor& W);
}

/// A weight's row sums, kept by whoever writes the weight: an update that has the rows at hand sums them for next to
/// nothing. A weight that was written by others (loaded from a file, say) is noticed by its version and summed anew, to
/// the same bits.
class RowSums {
 public:
  /// Those of W as it stands. @return [rows]; overwritten by the next update
  const at::Tensor& of(const at::Tensor& W);
  /// Where an update of W is to write them; keep(W) says that it has.
  const at::Tensor& room(const at::Tensor& W);
  void keep(const at::Tensor& W);

 private:
  at::Tensor sums_;
  const void* weight_ = nullptr;
  std::int64_t version_ = -1;
};

/// A tensor that learns, its row sums if anybody wants them (else null), and how it is held (null: as it comes).
struct Parameter {
  Parameter(at::Tensor value, std::shared_ptr<RowSums> sums = nullptr, std::shared_ptr<Storage> storage = nullptr)
      : value(std::move(value)), sums(std::move(sums)), storage(std::move(storage)) {}
  at::Tensor value;
  std::shared_ptr<RowSums> sums;
  std::shared_ptr<Storage> storage;
};

/// Whether the fused loops can work on it: in this machine's memory, without gaps, float32 or float64.
bool fusable(const at::Tensor& tensor);

}  // namespace grapes::kernels
