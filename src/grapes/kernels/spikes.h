#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace grapes::kernels {

/// Packs zeros and ones into bits. A row of `columns` numbers takes one 32-bit word per 32 columns, padded to a
/// multiple of 16 words. Bit k of word 16 j + lane is column 512 j + 16 k + lane.
/// @return int32 [..., words]; undefined if x contains a number other than 0 and 1
at::Tensor pack(const at::Tensor& x);
/// @param packed  int32 [..., words] @return [..., columns], a floating-point dtype
at::Tensor unpack(const at::Tensor& packed, std::int64_t columns, at::ScalarType dtype);
std::int64_t words_for(std::int64_t columns);
/// Position of column i in its packed row: word and bit.
struct BitPlace {
  std::int64_t word;
  int bit;
};
constexpr BitPlace place_of(std::int64_t column) {
  return {column / 512 * 16 + column % 16, static_cast<int>(column % 512 / 16)};
}
/// Draws a spike at every step with probability x · rate, clamped to [0, rate]. Each example has its own stream, from
/// which each input above 0 takes 16 bits per step, so probabilities are multiples of 2^-16.
/// @param x  [batch, in], contiguous floating point, on the CPU
/// @param streams  int64 [batch], the number of each example's stream
/// @return packed [steps, batch, words]
at::Tensor draw_spikes(const at::Tensor& x, std::int64_t steps, double rate, std::uint64_t seed,
                       const at::Tensor& streams);
inline bool is_packed(const at::Tensor& x) { return x.scalar_type() == at::kInt; }

/// A matrix of zeros and ones. Its products add the rows with ones, 256 sums at a time in registers, instead of
/// multiplying by 0 and 1.
class Spikes {
 public:
  /// Density up to which adding rows is faster than a dense product. Measured for forward and backward together: half
  /// the time at a density of 0.2; equal time at 0.4 with 256 units and at 0.3 with 150.
  static constexpr double worth = 0.3;
  /// @param x        [rows, columns] float32 or float64, or packed [rows, words]; contiguous
  /// @param columns  number of columns of x before packing
  /// @return nothing if x contains a number other than 0 and 1, if the density of ones is above `most`, or with more
  ///   than 65535 columns
  static std::optional<Spikes> of(const at::Tensor& x, std::int64_t columns, double most);

  /// out = this · M.  @param M [columns, n] @param out [rows, n], contiguous like M
  void product(const at::Tensor& M, const at::Tensor& out) const;
  /// out = thisᵀ · M.  @param M [rows, n] @param out [columns, n]
  void transposed_product(const at::Tensor& M, const at::Tensor& out) const;

  double density() const { return static_cast<double>(ones_) / static_cast<double>(rows_ * columns_); }

 private:
  static constexpr std::int64_t lanes = 16;
  /// Finds the columns of the ones in lanes begin ... end-1 of a row. @return their number
  std::int64_t names_of(std::int64_t row, std::int64_t begin, std::int64_t end, std::uint16_t* names) const;
  template <class T>
  void sum(const at::Tensor& M, const at::Tensor& out) const;
  template <class T>
  void sum_transposed(const at::Tensor& M, const at::Tensor& out, std::int64_t begin, std::int64_t end) const;

  std::int64_t rows_ = 0, columns_ = 0, words_per_row_ = 0, ones_ = 0;
  at::Tensor words_;  // packed
};

}  // namespace grapes::kernels
