#include "grapes/kernels/gemm.h"

#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/libraries.h"
#include "grapes/kernels/onednn.h"
#include "grapes/kernels/threads.h"

#include <algorithm>
#include <type_traits>

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

template <class T>
void gemm_by_blas(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C) {
  threads_for(C.rows * C.columns * A.columns);
  if (C.rows == 1) return row_times_matrix(alpha, A, B, beta, C);  // routines for vectors need no packing
  // In column-major order, Cᵀ = Bᵀ Aᵀ is the same memory.
  const int m = to_int(C.columns), n = to_int(C.rows), k = to_int(A.columns);
  const int a = to_int(A.stride), b = to_int(B.stride), c = to_int(C.stride);
  Blas<T>::gemm(B.transposed ? "T" : "N", A.transposed ? "T" : "N", &m, &n, &k, &alpha, B.data, &b, A.data, &a, &beta,
                C.data, &c);
}

/// Returns m's elements in row-major order after the transposition, in memory that the next call with the same `place`
/// reuses.
template <class T, int place>
const T* turned(const Matrix<const T>& m) {
  thread_local std::vector<T> room;
  room.resize(static_cast<std::size_t>(m.rows * m.columns));
  constexpr std::int64_t side = 16;  // squares, so that both matrices are read and written by cache line
  for (std::int64_t r0 = 0; r0 < m.rows; r0 += side)
    for (std::int64_t c0 = 0; c0 < m.columns; c0 += side)
      for (std::int64_t r = r0; r < std::min(m.rows, r0 + side); ++r)
        for (std::int64_t c = c0; c < std::min(m.columns, c0 + side); ++c)
          room[static_cast<std::size_t>(r * m.columns + c)] = m.data[c * m.stride + r];
  return room.data();
}

/// C = alpha · A B + beta · C with a row-major B.
template <class T>
void by_tiles(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C) {
  constexpr std::int64_t most = 256;  // rows of B, of which a tile's columns fit into the cache
  const std::int64_t blocks = (A.columns + most - 1) / most;
  thread_local std::vector<T> room(static_cast<std::size_t>(most * widest_tile));
  const std::int64_t a_row = A.transposed ? 1 : A.stride, a_depth = A.transposed ? A.stride : 1;
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t begin = A.columns * block / blocks, end = A.columns * (block + 1) / blocks;
    loops<T>().product({C.rows, C.columns, end - begin, A.data + begin * a_depth, a_row, a_depth,
                        B.data + begin * B.stride, B.stride, room.data()},
                       alpha, block == 0 ? beta : T(1), C.data, C.stride);
  }
}

template <class T>
void on_this_thread(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C) {
  constexpr std::int64_t few = 8;  // rows, see dots()
  const std::int64_t rows = C.rows, columns = C.columns, depth = A.columns;
  if (!B.transposed) return by_tiles(alpha, A, B, beta, C);
  if (rows <= few && !A.transposed)
    return loops<T>().dots(A.data, A.stride, B.data, B.stride, rows, columns, depth, alpha, beta, C.data, C.stride);
  if (depth * columns <= depth * rows + 2 * rows * columns)
    return by_tiles<T>(alpha, A, {turned<T, 0>(B), depth, columns, columns}, beta, C);
  // Cᵀ = B Aᵀ
  const Matrix<const T> turned_A = transposed(A);
  const T* a = turned_A.transposed ? turned<T, 0>(turned_A) : turned_A.data;
  thread_local std::vector<T> turned_C;
  turned_C.resize(static_cast<std::size_t>(rows * columns));
  by_tiles<T>(1, transposed(B), {a, depth, rows, turned_A.transposed ? rows : turned_A.stride}, 0,
              {turned_C.data(), columns, rows, rows});
  const T* product = turned<T, 1>({turned_C.data(), rows, columns, rows, true});
  for (std::int64_t r = 0; r < rows; ++r) {
    T* c = C.data + r * C.stride;
    const T* from = product + r * columns;
    if (beta == 0)
      for (std::int64_t i = 0; i < columns; ++i) c[i] = alpha * from[i];
    else
      for (std::int64_t i = 0; i < columns; ++i) c[i] = alpha * from[i] + beta * c[i];
  }
}

template <class M>
M rows_of(M m, std::int64_t begin, std::int64_t end) {
  m.data += begin * (m.transposed ? 1 : m.stride);
  m.rows = end - begin;
  return m;
}
template <class M>
M columns_of(const M& m, std::int64_t begin, std::int64_t end) {
  return transposed(rows_of(transposed(m), begin, end));
}

/// Threads divide the longer side of C.
template <class T>
void gemm_by_loops(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C) {
  const bool tall = C.rows > C.columns;
  in_parallel(std::max(C.rows, C.columns), C.rows * C.columns * A.columns, [&](std::int64_t begin, std::int64_t end) {
    if (tall)
      on_this_thread<T>(alpha, rows_of(A, begin, end), B, beta, rows_of(C, begin, end));
    else
      on_this_thread<T>(alpha, A, columns_of(B, begin, end), beta, columns_of(C, begin, end));
  });
}

#ifdef GRAPES_ONEDNN
void gemm_by_onednn(float alpha, const Matrix<const float>& A, const Matrix<const float>& B, float beta,
                    const Matrix<float>& C) {
  dnnl_sgemm(A.transposed ? 'T' : 'N', B.transposed ? 'T' : 'N', C.rows, C.columns, A.columns, alpha, A.data, A.stride,
             B.data, B.stride, beta, C.data, C.stride);
}
#endif

}  // namespace

template <class T>
const std::vector<GemmRow<T>>& gemms() {
  static const std::vector<GemmRow<T>> rows = [] {
    std::vector<GemmRow<T>> all = {{blas_name().substr(0, blas_name().find(' ')), gemm_by_blas<T>}};
#ifdef GRAPES_ONEDNN
    if constexpr (std::is_same_v<T, float>) all.push_back({"oneDNN", gemm_by_onednn});
#endif
    if (loops<T>().multiplies) all.push_back({"Grapes", gemm_by_loops<T>});
    return all;
  }();
  return rows;
}
template const std::vector<GemmRow<float>>& gemms();
template const std::vector<GemmRow<double>>& gemms();

template <class T>
void gemm(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C) {
  if (C.rows == 0 || C.columns == 0) return;
  (A.columns > 0 && loops<T>().multiplies ? gemm_by_loops<T> : gemm_by_blas<T>)(alpha, A, B, beta, C);
}
template void gemm(float, const Matrix<const float>&, const Matrix<const float>&, float, const Matrix<float>&);
template void gemm(double, const Matrix<const double>&, const Matrix<const double>&, double, const Matrix<double>&);

}  // namespace grapes::kernels
