#pragma once

#include <cstdint>
#include <vector>

/// GRAPES in integers, as a chip does it: what the SystemVerilog under hardware/rtl and the exported C must equal bit
/// for bit.
namespace grapes::fixed {

/// Bits of a factor's fraction: k = 0 gives {1, 2}, a shift; 2 gives {1, 1.25, 1.5, 1.75, 2}.
constexpr int most_factor_bits = 8;

/// Responsibility of one node, r = Σ_i |w_i|, in units of the weights' last place. |−2^(b-1)| is 2^(b-1): exact.
std::uint64_t responsibility(const std::int32_t* weights, std::size_t count);

/// The factor of a node in steps of 2^-k above 1, to the nearest step, a half upwards:
///   j = clip(⌊2^k (2 r / max r − 1) + 1/2⌋, 0, 2^k),   m = 1 + j / 2^k                       Dellaferrera et al. 2022
/// Without a division, by successive approximation: j is the greatest number for which
///   2^(k+2) r ≥ max r · (2^(k+1) + 2 j − 1),
/// found bit by bit from the highest, one comparison each. |m − its exact value| ≤ 2^-(k+1). max r = 0: j = 0, m = 1.
/// @param r  at most `most`, which is below 2^48
/// @param k  0 ... most_factor_bits
std::uint32_t factor_steps(std::uint64_t r, std::uint64_t most, int k);
/// Of all nodes of a layer.
std::vector<std::uint32_t> factor_steps(const std::vector<std::uint64_t>& r, int k);

/// The error times the factor, to the nearest, a half upwards, saturated to `bits` (2 ... 32, two's complement):
///   δ' = δ + ⌊(δ j + 2^(k-1)) / 2^k⌋        (k = 0: δ + δ j)
std::int32_t modulate(std::int32_t error, std::uint32_t steps, int k, int bits);

/// To the range of `bits` in two's complement, 2 ... 32.
std::int32_t saturate(std::int64_t value, int bits);

/// value / 2^shift to the nearest, a half upwards; shift 0 ... 62.
std::int64_t shift_right(std::int64_t value, int shift);

}  // namespace grapes::fixed
