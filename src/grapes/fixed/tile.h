#pragma once

#include <cstdint>
#include <span>

/// The weights of a layer and their update in integers. hardware/rtl/grapes_tile.sv computes the same bits.
namespace grapes::fixed {

/// Widths of the numbers in an update. All numbers are two's complement.
struct Widths {
  int weight = 8;      ///< bits of W, 2 ... 32
  int error = 8;       ///< bits of δ and of δ' = m δ, 2 ... 32
  int activation = 8;  ///< bits of x, 2 ... 32
  int factor = 2;      ///< k, fraction bits of the factor, 0 ... most_factor_bits
  int shift = 7;  ///< η = 2^-shift, in last places of W per last place of δ' and x; 0 ... 62; the circuit supports at
                  ///< most error + activation bits
};

/// Adds one outer product, for one example:
///   W[n,i] ← sat(W[n,i] − ⌊(δ'_n x_i + 2^(shift-1)) / 2^shift⌋)            δ'_n = modulate(δ_n, j_n), sat to W's bits
/// The product has error + activation bits and is rounded once, to the nearest, ties upward; a shift of 0 does not
/// round. Examples are added one by one, each rounded and saturated, so nothing wider than a weight is stored.
/// @param weights      [unit, input], row by row
/// @param errors       [unit], δ
/// @param steps        [unit], j: the factor is 1 + j / 2^k
/// @param activations  [input], x
/// @throws UsageError  for a width out of its range, a number with more bits than its width, or lengths that do not
///   match; the weights are then unchanged
void update(std::span<std::int32_t> weights, std::span<const std::int32_t> errors, std::span<const std::uint32_t> steps,
            std::span<const std::int32_t> activations, const Widths& widths);

}  // namespace grapes::fixed
