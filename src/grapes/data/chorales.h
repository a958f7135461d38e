#pragma once

#include "grapes/data/collection.h"

namespace grapes::data {

/// Reads the JSB chorales (Boulanger-Lewandowski, Bengio, Vincent 2012) from JSON: "train", "valid" and "test" are
/// lists of chorales, which are lists of steps, which are lists of MIDI notes 21 ... 108. Inputs are all steps except
/// the last, as 88 bits; targets are the steps after them. @throws DataError with the chorale and the step
Collection read_chorales(const SourceFiles& files);
/// The first MIDI note of a step's bits, and their number.
inline constexpr std::int64_t lowest_note = 21, notes = 88;

}  // namespace grapes::data
