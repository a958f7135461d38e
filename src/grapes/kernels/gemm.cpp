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

/// Writes m's elements in row-major order after the transposition into `room`, which grows if it is too small.
template <class T>
Matrix<const T> turned(const Matrix<const T>& m, std::vector<T>& room) {
  room.resize(std::max(room.size(), static_cast<std::size_t>(m.rows * m.columns)));
  constexpr std::int64_t side = 16;  // squares, so that both matrices are read and written by cache line
  for (std::int64_t r0 = 0; r0 < m.rows; r0 += side)
    for (std::int64_t c0 = 0; c0 < m.columns; c0 += side)
      for (std::int64_t r = r0; r < std::min(m.rows, r0 + side); ++r)
        for (std::int64_t c = c0; c < std::min(m.columns, c0 + side); ++c)
          room[static_cast<std::size_t>(r * m.columns + c)] = m.data[c * m.stride + r];
  return {room.data(), m.rows, m.columns, m.columns};
}

/// C = alpha · A B + beta · C with a row-major B.
template <class T>
void by_tiles(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C) {
  const std::int64_t blocks = (A.columns + block_depth - 1) / block_depth;
  thread_local std::vector<T> room(static_cast<std::size_t>(block_depth * widest_tile));
  const std::int64_t a_row = A.transposed ? 1 : A.stride, a_depth = A.transposed ? A.stride : 1;
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t begin = A.columns * block / blocks, end = A.columns * (block + 1) / blocks;
    loops<T>().product({C.rows, C.columns, end - begin, A.data + begin * a_depth, a_row, a_depth,
                        B.data + begin * B.stride, B.stride, room.data()},
                       alpha, block == 0 ? beta : T(1), C.data, C.stride);
  }
}

/// C = alpha · A B + beta · C as the transpose of Bᵀ Aᵀ, with a row-major Aᵀ.
template <class T>
void by_turned_tiles(T alpha, const Matrix<const T>& At, const Matrix<const T>& Bt, T beta, const Matrix<T>& C) {
  thread_local std::vector<T> product_room, turned_room;
  product_room.resize(std::max(product_room.size(), static_cast<std::size_t>(C.rows * C.columns)));
  by_tiles<T>(1, Bt, At, 0, {product_room.data(), C.columns, C.rows, C.rows});
  const Matrix<const T> product = turned<T>({product_room.data(), C.rows, C.columns, C.rows, true}, turned_room);
  for (std::int64_t r = 0; r < C.rows; ++r) {
    T* c = C.data + r * C.stride;
    const T* from = product.data + r * C.columns;
    if (beta == 0)
      for (std::int64_t i = 0; i < C.columns; ++i) c[i] = alpha * from[i];
    else
      for (std::int64_t i = 0; i < C.columns; ++i) c[i] = alpha * from[i] + beta * c[i];
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

/// Calls do_part(A, B, C) for parts of the product. Threads divide the longer side of C.
template <class T, class DoPart>
void in_parts(const Matrix<const T>& A, const Matrix<const T>& B, const Matrix<T>& C, DoPart do_part) {
  const bool tall = C.rows > C.columns;
  in_parallel(std::max(C.rows, C.columns), C.rows * C.columns * A.columns, [&](std::int64_t begin, std::int64_t end) {
    if (tall)
      do_part(rows_of(A, begin, end), B, rows_of(C, begin, end));
    else
      do_part(A, columns_of(B, begin, end), columns_of(C, begin, end));
  });
}

/// The sizes of the whole product choose how it is computed, so that the bits of a sum do not depend on the parts.
template <class T>
void gemm_by_loops(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C) {
  using Factor = const Matrix<const T>&;
  using Result = const Matrix<T>&;
  constexpr std::int64_t few = 8;  // rows, see dots()
  thread_local std::vector<T> room;
  const auto tiles = [&](Factor a, Factor b, Result c) { by_tiles(alpha, a, b, beta, c); };
  if (!B.transposed) return in_parts(A, B, C, tiles);
  if (C.rows <= few && !A.transposed)
    return in_parts(A, B, C, [&](Factor a, Factor b, Result c) {
      loops<T>().dots(a.data, a.stride, b.data, b.stride, c.rows, c.columns, a.columns, alpha, beta, c.data, c.stride);
    });
  if (A.columns * C.columns <= A.columns * C.rows + 2 * C.rows * C.columns)
    return in_parts(A, turned(B, room), C, tiles);
  const Matrix<const T> At = A.transposed ? transposed(A) : turned(transposed(A), room);
  in_parts(transposed(At), B, C,
           [&](Factor a, Factor b, Result c) { by_turned_tiles(alpha, transposed(a), transposed(b), beta, c); });
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

namespace {
thread_local int blas_products = 0;
}  // namespace
BlasProducts::BlasProducts() { ++blas_products; }
BlasProducts::~BlasProducts() { --blas_products; }

template <class T>
bool by_own_loops() {
  return std::is_same_v<T, float> && blas_products == 0 && loops<T>().multiplies;
}
template bool by_own_loops<float>();
template bool by_own_loops<double>();

template <class T>
void gemm(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C) {
  if (C.rows == 0 || C.columns == 0) return;
  if (A.columns == 0) {  // sums of no terms
    for (std::int64_t r = 0; r < C.rows; ++r)
      for (T* c = C.data + r * C.stride; c != C.data + r * C.stride + C.columns; ++c) *c = beta == 0 ? T(0) : beta * *c;
    return;
  }
  (by_own_loops<T>() ? gemm_by_loops<T> : gemm_by_blas<T>)(alpha, A, B, beta, C);
}
template void gemm(float, const Matrix<const float>&, const Matrix<const float>&, float, const Matrix<float>&);
template void gemm(double, const Matrix<const double>&, const Matrix<const double>&, double, const Matrix<double>&);

}  // namespace grapes::kernels
