#pragma once

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
extern template void gemm(float, const Matrix<const float>&, const Matrix<const float>&, float, const Matrix<float>&);
extern template void gemm(double, const Matrix<const double>&, const Matrix<const double>&, double,
                          const Matrix<double>&);

}  // namespace grapes::kernels
