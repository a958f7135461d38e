#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace grapes::kernels {

/// Zeros and ones as a bit each. A row of `columns` numbers takes a word of 32 bits per 32 columns, filled up to a
/// multiple of 16 words: bit k of word 16 j + lane is column 512 j + 16 k + lane.
/// @return int32 [..., words]; undefined if x has another number than 0 and 1
at::Tensor pack(const at::Tensor& x);
/// @param packed  int32 [..., words] @return [..., columns], of a floating-point dtype
at::Tensor unpack(const at::Tensor& packed, std::int64_t columns, at::ScalarType dtype);
std::int64_t words_for(std::int64_t columns);
/// Of column i: which word of its row, and which bit of that.
struct BitPlace {
  std::int64_t word;
  int bit;
};
constexpr BitPlace place_of(std::int64_t column) {
  return {column / 512 * 16 + column % 16, static_cast<int>(column % 512 / 16)};
}
/// At every step a spike with probability x · rate, clamped to 0 ... rate. Each example has a stream of its own, of
/// which inputs above 0 take 16 bits a step: probabilities are multiples of 2^-16.
/// @param x  [batch, in], contiguous floating point, on the CPU
/// @return packed [steps, batch, words]
at::Tensor draw_spikes(const at::Tensor& x, std::int64_t steps, double rate, std::uint64_t seed);
inline bool is_packed(const at::Tensor& x) { return x.scalar_type() == at::kInt; }

/// A matrix of zeros and ones and its products: adding the rows that are named, 256 sums at a time in registers,
/// instead of multiplying by 0 and 1.
class Spikes {
 public:
  /// The density up to which rows are added in place of a dense product. Measured, forward and backward together: half
  /// its time at 0.2; as long at 0.4 with 256 nodes and at 0.3 with 150.
  static constexpr double worth = 0.3;
  /// @param x        [rows, columns] float32 or float64, or packed [rows, words]; contiguous
  /// @param columns  of x before it was packed
  /// @return nothing if there is another number than 0 and 1, if more than `most` of them are 1, or above 65535 columns
  static std::optional<Spikes> of(const at::Tensor& x, std::int64_t columns, double most);

  /// out = this · M.  @param M [columns, n] @param out [rows, n], contiguous like M
  void product(const at::Tensor& M, const at::Tensor& out) const;
  /// out = thisᵀ · M.  @param M [rows, n] @param out [columns, n]
  void transposed_product(const at::Tensor& M, const at::Tensor& out) const;

  double density() const { return static_cast<double>(ones_) / static_cast<double>(rows_ * columns_); }

 private:
  static constexpr std::int64_t lanes = 16;
  /// Columns of the ones in a row, of the lanes begin ... end-1. @return how many
  std::int64_t names_of(std::int64_t row, std::int64_t begin, std::int64_t end, std::uint16_t* names) const;
  template <class T>
  void sum(const at::Tensor& M, const at::Tensor& out) const;
  template <class T>
  void sum_transposed(const at::Tensor& M, const at::Tensor& out, std::int64_t begin, std::int64_t end) const;

  std::int64_t rows_ = 0, columns_ = 0, words_per_row_ = 0, ones_ = 0;
  at::Tensor words_;  // packed
};

}  // namespace grapes::kernels
