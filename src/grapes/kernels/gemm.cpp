#include "grapes/kernels/gemm.h"

#include "grapes/kernels/threads.h"

// The BLAS's Fortran names, which exist with or without a C header.
extern "C" {
void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*, const int*,
            const float*, const int*, const float*, float*, const int*);
void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*, const double*, const int*,
            const double*, const int*, const double*, double*, const int*);
void sgemv_(const char*, const int*, const int*, const float*, const float*, const int*, const float*, const int*,
            const float*, float*, const int*);
void dgemv_(const char*, const int*, const int*, const double*, const double*, const int*, const double*, const int*,
            const double*, double*, const int*);
}

namespace grapes::kernels {
namespace {

template <class T>
struct Blas;
template <>
struct Blas<float> {
  static constexpr auto gemm = sgemm_;
  static constexpr auto gemv = sgemv_;
};
template <>
struct Blas<double> {
  static constexpr auto gemm = dgemm_;
  static constexpr auto gemv = dgemv_;
};

int to_int(std::int64_t n) { return static_cast<int>(n); }

/// c = alpha · x B + beta · c for one row. In column-major order the memory of B is Bᵀ.
template <class T>
void row_times_matrix(T alpha, const Matrix<const T>& x, const Matrix<const T>& B, T beta, const Matrix<T>& c) {
  const int one = 1, step = x.transposed ? to_int(x.stride) : 1, stride = to_int(B.stride);
  const int rows = to_int(B.transposed ? B.rows : B.columns), columns = to_int(B.transposed ? B.columns : B.rows);
  Blas<T>::gemv(B.transposed ? "T" : "N", &rows, &columns, &alpha, B.data, &stride, x.data, &step, &beta, c.data, &one);
}

}  // namespace

template <class T>
void gemm(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C) {
  if (C.rows == 0 || C.columns == 0) return;
  threads_for(C.rows * C.columns * A.columns);
  if (C.rows == 1 && !C.transposed) return row_times_matrix(alpha, A, B, beta, C);
  // In column-major order, Cᵀ = Bᵀ Aᵀ is the same memory.
  const int m = to_int(C.columns), n = to_int(C.rows), k = to_int(A.columns);
  const int a = to_int(A.stride), b = to_int(B.stride), c = to_int(C.stride);
  Blas<T>::gemm(B.transposed ? "T" : "N", A.transposed ? "T" : "N", &m, &n, &k, &alpha, B.data, &b, A.data, &a, &beta,
                C.data, &c);
}
template void gemm(float, const Matrix<const float>&, const Matrix<const float>&, float, const Matrix<float>&);
template void gemm(double, const Matrix<const double>&, const Matrix<const double>&, double, const Matrix<double>&);

}  // namespace grapes::kernels
