#pragma once

#include "grapes/kernels/threads.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::kernels {

/// A row-major matrix in memory, optionally used transposed.
template <class T>
struct Matrix {
  T* data;
  std::int64_t rows, columns;  ///< after the transposition
  std::int64_t stride;         ///< distance from one row in memory to the next
  bool transposed = false;
};
template <class T>
Matrix<T> transposed(Matrix<T> m) {
  return {m.data, m.columns, m.rows, m.stride, !m.transposed};
}

/// Computes C = alpha · A B + beta · C, with as many threads as the size justifies. With beta = 0, C is not read. C is
/// not transposed.
template <class T>
void gemm(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C);
/// The same, with rows of C on the threads of in_parallel() instead of the BLAS's own. Use it for products between
/// loops that run on these threads. The BLAS's threads spin while they wait, which would take time from them.
template <class T>
void gemm_in_parts(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C) {
  const auto rows = []<class U>(const Matrix<U>& m, std::int64_t begin, std::int64_t end) {
    return Matrix<U>{m.data + begin * (m.transposed ? 1 : m.stride), end - begin, m.columns, m.stride, m.transposed};
  };
  in_parallel(C.rows, C.rows * C.columns * A.columns, [&](std::int64_t begin, std::int64_t end) {
    gemm<T>(alpha, rows(A, begin, end), B, beta, rows(C, begin, end));
  });
}
extern template void gemm(float, const Matrix<const float>&, const Matrix<const float>&, float, const Matrix<float>&);
extern template void gemm(double, const Matrix<const double>&, const Matrix<const double>&, double,
                          const Matrix<double>&);

/// A library that computes the same product, see gemm().
template <class T>
struct GemmRow {
  std::string name;  ///< "OpenBLAS", "oneDNN", "Grapes"
  void (*gemm)(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C);
};
/// Returns those that exist here and compute with T. Benchmarks compare a step with the fastest of them.
template <class T>
const std::vector<GemmRow<T>>& gemms();

}  // namespace grapes::kernels
