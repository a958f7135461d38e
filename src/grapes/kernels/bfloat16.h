#pragma once

#include "grapes/kernels/gemm.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

/// Mixed precision as it is usually done: weights, errors and sums stay float32, and what enters a matrix product is
/// rounded to bfloat16 (8 bits of exponent, 8 of significand), which oneDNN multiplies about twice as fast.
namespace grapes::kernels {

/// Empty where the products below can run; else why not, in words.
const std::string& bfloat16_missing();

/// C = alpha · A B + beta · C, A and B bfloat16, sums and C float32. Needs bfloat16_missing() to be empty.
/// On LibTorch's threads, which is one beside OpenBLAS's: oneDNN's two and OpenBLAS's two on two cores took fifty times
/// as long as one.
/// @param beta  0 or 1
void gemm(float alpha, const Matrix<const c10::BFloat16>& A, const Matrix<const c10::BFloat16>& B, float beta,
          const Matrix<float>& C);

/// The bfloat16 copy of a weight, made anew when the weight has changed.
class RoundedCopy {
 public:
  /// @param W  the same tensor at every call, in whatever state
  const at::Tensor& of(const at::Tensor& W);

 private:
  at::Tensor copy_;
  std::int64_t version_ = -1;
};

}  // namespace grapes::kernels
