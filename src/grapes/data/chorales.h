#pragma once

#include "grapes/data/collection.h"

namespace grapes::data {

/// The JSB chorales (Boulanger-Lewandowski, Bengio, Vincent 2012) as JSON: "train", "valid" and "test", lists of
/// chorales, lists of steps, lists of MIDI notes 21 ... 108. Inputs are the steps but the last, 88 bits, asked for are
/// the steps after them. @throws DataError that names the chorale and the step
Collection read_chorales(const SourceFiles& files);
/// The 88 bits of a step, as MIDI writes its notes from this one on.
inline constexpr std::int64_t lowest_note = 21, notes = 88;

}  // namespace grapes::data
