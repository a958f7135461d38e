#pragma once

#include <cstdint>
#include <vector>

/// GRAPES in integers, as in hardware. The SystemVerilog in hardware/rtl and the exported C compute the same bits.
namespace grapes::fixed {

/// Fraction bits of a factor: k = 0 gives {1, 2}, a shift; 2 gives {1, 1.25, 1.5, 1.75, 2}.
constexpr int most_factor_bits = 8;

/// Returns the responsibility of one unit, r = Σ_i |w_i|, in units of the weights' last place. |−2^(b-1)| is exactly
/// 2^(b-1).
std::uint64_t responsibility(const std::int32_t* weights, std::size_t count);

/// Returns the factor of a unit in steps of 2^-k above 1, rounded to the nearest step, ties upward:
///   j = clip(⌊2^k (2 r / max r − 1) + 1/2⌋, 0, 2^k),   m = 1 + j / 2^k                       Dellaferrera et al. 2022
/// It needs no division: by successive approximation, j is the greatest number for which
///   2^(k+2) r ≥ max r · (2^(k+1) + 2 j − 1).
/// Its bits are found from the highest, with one comparison each. |m − its exact value| ≤ 2^-(k+1). max r = 0: j = 0, m
/// = 1.
/// @param r  at most `most`, which is below 2^48
/// @param k  0 ... most_factor_bits
std::uint32_t factor_steps(std::uint64_t r, std::uint64_t most, int k);
/// Does the same for all units of a layer.
std::vector<std::uint32_t> factor_steps(const std::vector<std::uint64_t>& r, int k);

/// Returns the error times the factor, rounded to the nearest, ties upward, saturated to `bits` (2 ... 32, two's
/// complement):
///   δ' = δ + ⌊(δ j + 2^(k-1)) / 2^k⌋        (k = 0: δ + δ j)
std::int32_t modulate(std::int32_t error, std::uint32_t steps, int k, int bits);

/// Saturates to the range of `bits` in two's complement, 2 ... 32.
std::int32_t saturate(std::int64_t value, int bits);

/// Returns value / 2^shift rounded to the nearest, ties upward; shift 0 ... 62.
std::int64_t shift_right(std::int64_t value, int shift);

}  // namespace grapes::fixed
