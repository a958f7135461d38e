#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace grapes::kernels {

/// A matrix of zeros and ones, a bit each, and its products: adding the rows that are named, 256 sums at a time in
/// registers, instead of multiplying by 0 and 1.
class Spikes {
 public:
  /// The density up to which rows are added in place of a dense product. Measured, forward and backward together: half
  /// its time at 0.2; as long at 0.4 with 256 nodes and at 0.3 with 150.
  static constexpr double worth = 0.3;
  /// Measures x. @param x [rows, columns], contiguous, float32 or float64
  /// @return nothing if there is another number than 0 and 1, if more than `most` of them are 1, or above 65535 columns
  static std::optional<Spikes> of(const at::Tensor& x, double most);

  /// out += this · M.  @param M [columns, n] @param out [rows, n], contiguous like M
  void add_product(const at::Tensor& M, const at::Tensor& out) const;
  /// out += thisᵀ · M.  @param M [rows, n] @param out [columns, n]
  void add_transposed_product(const at::Tensor& M, const at::Tensor& out) const;

  double density() const { return static_cast<double>(ones_) / static_cast<double>(rows_ * columns_); }
  std::int64_t bytes() const { return static_cast<std::int64_t>(words_.size() * sizeof(std::uint32_t)); }

 private:
  static constexpr std::int64_t lanes = 16;
  /// Columns of the ones in a row, of the lanes begin ... end-1. @return how many
  std::int64_t names_of(std::int64_t row, std::int64_t begin, std::int64_t end, std::uint16_t* names) const;
  template <class T>
  void add(const at::Tensor& M, const at::Tensor& out) const;
  template <class T>
  void add_transposed(const at::Tensor& M, const at::Tensor& out, std::int64_t begin, std::int64_t end) const;

  std::int64_t rows_ = 0, columns_ = 0, words_per_row_ = 0, ones_ = 0;
  std::vector<std::uint32_t> words_;  // bit k of word 16 j + lane of a row: column 512 j + 16 k + lane
};

}  // namespace grapes::kernels
