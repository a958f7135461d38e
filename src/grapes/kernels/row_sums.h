#pragma once

#include "grapes/kernels/number_format.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace grapes::kernels {

/// Computes Σ |W[n, ...]| per row: the responsibility of each unit (Dellaferrera et al. 2022).
/// @param W  [rows, ...], floating point
/// @return [rows], without a gradient
at::Tensor abs_sums(const at::Tensor& W);
namespace plain {
at::Tensor abs_sums(const at::Tensor& W);
}

/// The row sums of a weight, kept up to date by the code that writes it: an update that reads the rows anyway can sum
/// them at almost no cost. If other code has changed the weight, for example by loading a file, its version shows it,
/// and the sums are recomputed with the same bits.
class RowSums {
 public:
  /// Returns the sums of the current W, [rows]. The next update overwrites them.
  const at::Tensor& of(const at::Tensor& W);
  /// Returns the memory for the sums of an update; keep(W) must be called after the update.
  const at::Tensor& room(const at::Tensor& W);
  void keep(const at::Tensor& W);

 private:
  at::Tensor sums_;
  const void* weight_ = nullptr;
  std::int64_t version_ = -1;
};

/// A tensor that learns, its row sums (null: not needed), how it is stored (null: without rounding), and its mask,
/// which is 0 where no weight exists (undefined: everywhere). Value and gradient are 0 there.
struct Parameter {
  Parameter(at::Tensor value, std::shared_ptr<RowSums> sums = nullptr, std::shared_ptr<Storage> storage = nullptr,
            at::Tensor mask = {})
      : value(std::move(value)), sums(std::move(sums)), storage(std::move(storage)), mask(std::move(mask)) {}
  at::Tensor value;
  std::shared_ptr<RowSums> sums;
  std::shared_ptr<Storage> storage;
  at::Tensor mask;
};

/// Whether the fused loops support it: on the CPU, contiguous, float32 or float64.
bool fusable(const at::Tensor& tensor);

}  // namespace grapes::kernels
