#pragma once

#include <array>
#include <cstdint>
#include <vector>

/// Softmax in integers: a table of 65 entries and one division for all classes.
namespace grapes::fixed {

/// 2^(-i/64) in units of 2^-14, i = 0 ... 64, rounded to the nearest.
const std::array<std::uint16_t, 65>& exp2_table();

/// Returns exp(-d / 2^f) in units of 2^-14, for d 0 ... 65535 and f 5 ... 14, as 2^-(d log2 e). The integer part is a
/// shift; the rest is interpolated linearly in the table. The error is at most 1.5 units.
std::uint32_t exp_of_minus(std::uint32_t d, int f);

/// Returns p_i = exp a_i / Σ_j exp a_j in units of 2^-g, as e_i · ⌊2^30 / Σ e⌋ with e_i = exp_of_minus(max a - a_i):
/// one division. The error is at most 1/2 + 2^(g-14) (2 + K) for K logits.
/// @param logits  16 bits, in units of 2^-f, f 5 ... 14; at most 2^15 of them
/// @param g  0 ... 14
std::vector<std::int32_t> softmax(const std::vector<std::int32_t>& logits, int f, int g);

}  // namespace grapes::fixed
