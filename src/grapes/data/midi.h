#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace grapes::data {

/// A piano roll as a standard MIDI file of one track (format 0). A note that stays on is held, for a roll does not tell
/// held from repeated ones.
/// @param roll  [time, 88], not 0: the note is on for that quarter
/// @param quarters_per_minute  tempo
std::string midi(const at::Tensor& roll, double quarters_per_minute = 100);

}  // namespace grapes::data
