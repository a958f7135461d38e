#pragma once

#include "grapes/kernels/threads.h"

#include <cstdint>

namespace grapes::kernels {

/// A row-major matrix in memory, possibly read transposed.
template <class T>
struct Matrix {
  T* data;
  std::int64_t rows, columns;  ///< as used, after the transposition
  std::int64_t stride;         ///< from one row in memory to the next
  bool transposed = false;
};
template <class T>
Matrix<T> transposed(Matrix<T> m) {
  return {m.data, m.columns, m.rows, m.stride, !m.transposed};
}

/// C = alpha · A B + beta · C by the BLAS, on the threads that it is worth. beta 0: C is not read.
/// One row or one column goes to the matrix-vector and rank-1 routines, which need no packing.
template <class T>
void gemm(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C);
/// The same, rows of C on the threads of in_parallel() in place of the BLAS's own: for products between loops that run
/// on those too. The BLAS's threads wait by spinning, and would take half of a core away from them.
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

}  // namespace grapes::kernels
