#pragma once

#include "grapes/kernels/gemm.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

/// Mixed precision: weights, errors and sums stay float32. The operands of matrix products are rounded to bfloat16 (8
/// bits of exponent, 8 of significand), which oneDNN multiplies about twice as fast.
namespace grapes::kernels {

/// Returns why the products below are not available, or an empty string if they are.
const std::string& bfloat16_missing();

/// Computes C = alpha · A B + beta · C, with A and B bfloat16, sums and C float32. Requires bfloat16_missing() to be
/// empty. It runs on LibTorch's threads, of which there is only one besides OpenBLAS's: with two threads of each on two
/// cores, a product took fifty times as long.
/// @param beta  0 or 1
void gemm(float alpha, const Matrix<const c10::BFloat16>& A, const Matrix<const c10::BFloat16>& B, float beta,
          const Matrix<float>& C);

/// The bfloat16 copy of a weight. It is recomputed when the weight has changed.
class RoundedCopy {
 public:
  /// @param W  the same tensor in every call
  const at::Tensor& of(const at::Tensor& W);

 private:
  at::Tensor copy_;
  std::int64_t version_ = -1;
};

}  // namespace grapes::kernels
