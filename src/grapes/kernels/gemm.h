#pragma once

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

/// While this object lives, gemm() on this thread computes with the BLAS, whose sums have the bits of LibTorch's.
class BlasProducts {
 public:
  BlasProducts();
  ~BlasProducts();
  BlasProducts(const BlasProducts&) = delete;
  BlasProducts& operator=(const BlasProducts&) = delete;
};

/// Whether gemm() now uses loops of our own: float32, a processor that multiplies and adds in one instruction, and no
/// BlasProducts. Products in float64 are those of the BLAS, so that layers in C++ have the bits of the same layers in
/// PyTorch.
template <class T>
bool by_own_loops();

/// Computes C = alpha · A B + beta · C, with as many threads as the size justifies: the result does not depend on their
/// number if our own loops compute it. With beta = 0, C is not read. C is not transposed.
template <class T>
void gemm(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C);
extern template void gemm(float, const Matrix<const float>&, const Matrix<const float>&, float, const Matrix<float>&);
extern template void gemm(double, const Matrix<const double>&, const Matrix<const double>&, double,
                          const Matrix<double>&);

/// Terms that gemm() adds in one chain, if our own loops compute it. Of more terms, it adds the sums of blocks.
constexpr std::int64_t block_depth = 256;

/// A library that computes the same product, see gemm(). The matrices must not be empty.
template <class T>
struct GemmRow {
  std::string name;  ///< "OpenBLAS", "oneDNN", "Grapes"
  void (*gemm)(T alpha, const Matrix<const T>& A, const Matrix<const T>& B, T beta, const Matrix<T>& C);
};
/// Returns those that exist here and compute with T. Benchmarks compare a step with the fastest of them.
template <class T>
const std::vector<GemmRow<T>>& gemms();

}  // namespace grapes::kernels
