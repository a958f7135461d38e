#include "grapes/data/midi.h"

#include "grapes/data/sequence.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>

namespace grapes::data {
namespace {

constexpr std::uint32_t ticks_per_quarter = 480;

std::string number(std::uint32_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 255U);
  return text;
}

/// Seven bits a byte, the first bit set in all but the last.
std::string variable_length(std::uint32_t value) {
  std::string text(1, static_cast<char>(value & 127U));
  while ((value >>= 7) != 0) text.insert(text.begin(), static_cast<char>(128U | (value & 127U)));
  return text;
}

}  // namespace

std::string midi(const at::Tensor& roll, double quarters_per_minute) {
  TORCH_CHECK(roll.dim() == 2 && roll.size(1) == notes, "midi: roll must be [time, ", notes, "]; got ", roll.sizes());
  const at::Tensor on = roll.ne(0).to(at::kBool).contiguous();
  const auto sounds = [&](std::int64_t t, std::int64_t n) {
    return t >= 0 && t < on.size(0) && on.data_ptr<bool>()[t * notes + n];
  };
  std::string track = variable_length(0) + "\xff\x51\x03" +
                      number(static_cast<std::uint32_t>(std::lround(60e6 / quarters_per_minute)), 3);
  std::uint32_t waited = 0;
  for (std::int64_t t = 0; t <= on.size(0); ++t, waited += ticks_per_quarter)
    for (const bool begins : {false, true})  // what ends before what begins
      for (std::int64_t n = 0; n < notes; ++n) {
        if (sounds(t, n) == sounds(t - 1, n) || sounds(t, n) != begins) continue;
        track += variable_length(waited);
        waited = 0;
        track += begins ? '\x90' : '\x80';
        track += static_cast<char>(lowest_note + n);
        track += begins ? '\x50' : '\x40';
      }
  track += variable_length(0) + std::string("\xff\x2f\x00", 3);
  return "MThd" + number(6, 4) + number(0, 2) + number(1, 2) + number(ticks_per_quarter, 2) + "MTrk" +
         number(static_cast<std::uint32_t>(track.size()), 4) + track;
}

}  // namespace grapes::data
