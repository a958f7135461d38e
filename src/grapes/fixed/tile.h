#pragma once

#include <cstdint>
#include <span>

/// The weights of a layer, learning in integers: what hardware/rtl/grapes_tile.sv must equal bit for bit.
namespace grapes::fixed {

/// Every width that the update of a weight has. All numbers are two's complement.
struct Widths {
  int weight = 8;      ///< bits of W, 2 ... 32
  int error = 8;       ///< bits of δ and of δ' = m δ, 2 ... 32
  int activation = 8;  ///< bits of x, 2 ... 32
  int factor = 2;      ///< k, bits of the factor's fraction, 0 ... most_factor_bits
  int shift = 7;       ///< η = 2^-shift, in last places of W for one of δ' times one of x; 0 ... 62; the circuit
                       ///< takes at most error + activation bits
};

/// One outer product, for one example:
///   W[n,i] ← sat(W[n,i] − ⌊(δ'_n x_i + 2^(shift-1)) / 2^shift⌋)            δ'_n = modulate(δ_n, j_n), sat to W's bits
/// The product has error + activation bits and is rounded once, to the nearest, a half upwards; a shift of 0 rounds
/// nothing. Examples are added one by one, each rounded and saturated: nothing wider than a weight is kept.
/// @param weights      [node, input], row by row
/// @param errors       [node], δ
/// @param steps        [node], j: the factor is 1 + j / 2^k
/// @param activations  [input], x
/// @throws UsageError  for a width out of its range, a number that has more bits than its width, or lengths that do not
///                     fit together; the weights are then as they were
void update(std::span<std::int32_t> weights, std::span<const std::int32_t> errors, std::span<const std::uint32_t> steps,
            std::span<const std::int32_t> activations, const Widths& widths);

}  // namespace grapes::fixed
