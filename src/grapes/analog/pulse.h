#pragma once

#include "grapes/analog/device.h"

#include <array>
#include <cstdint>

/// Pulses on an array of devices, in plain numbers: the inner loops of crossbar.h.
namespace grapes::analog {

/// Four random words, a pure function of key and counter: Philox4x32-10 (Salmon et al. 2011). Whoever needs a draw
/// names its place, so that the order of the work does not matter.
using Words = std::array<std::uint32_t, 4>;
Words random_words(std::uint64_t key, const Words& counter);
/// Two words as one number of N(0,1) (Box and Muller); at most 6.7 from 0.
float normal(std::uint32_t first, std::uint32_t second);
/// Many of N(0,1): those of row `row` of the key.
void normals(std::uint64_t key, std::uint32_t row, std::int64_t count, float* numbers);

/// One device for each of [nodes, inputs]; null for an array that is not there.
struct Cells {
  float* state = nullptr;       ///< w, which pulses move
  float* seen = nullptr;        ///< what a read sees; the same memory as `state` without write noise
  const float* up = nullptr;    ///< s+ of each device
  const float* down = nullptr;  ///< s-
  const float* low = nullptr;   ///< its bounds; where they meet the device is stuck
  const float* high = nullptr;
};

/// The update of an array by stochastic pulse trains: for each sample in turn, every input i and node n sends a train
/// of `length` bits, with probabilities C_x |x_i| and C_δ |δ_n| (at most 1), and each device is pulsed once for each
/// coincidence, up if x_i δ_n < 0:
///   E[Δw_ni] = -length C_x C_δ Δw δ_n x_i = -gain · length Δw δ_n x_i                     Gokmen and Vlasov 2016
///   C_x = C_δ = sqrt(gain);   with management C_x = sqrt(gain max|δ| / max|x|), C_δ = gain / C_x
///                                                                                          Gokmen et al. 2017
/// A pair that is one_sided gets its downs as ups of the minus array.
struct Trains {
  const float* x = nullptr;      ///< [batch, inputs]
  const float* error = nullptr;  ///< [batch, nodes]
  std::int64_t batch = 0, nodes = 0, inputs = 0;
  double gain = 0;  ///< η / (scale · length · Δw_min)
  int length = 31;  ///< BL, 1 ... 32
  bool management = true;
  std::uint64_t key = 0;
};

/// @return how many pulses devices got
std::int64_t send(const Device& device, const Trains& trains, const Cells& plus, const Cells& minus);
namespace plain {
/// Bit by bit and pulse by pulse, with the same draws: equal to send() to the last bit.
std::int64_t send(const Device& device, const Trains& trains, const Cells& plus, const Cells& minus);
}  // namespace plain

/// The bits of one line's train for probability threshold / 2^32, threshold <= 2^32: bit j is 1 if the 32-bit number
/// made of bit j of 32 random words is below the threshold. @param line  which of the array's lines @param sample  of
/// the batch
std::uint32_t train(std::uint64_t key, std::uint32_t line, std::uint32_t sample, std::uint64_t threshold, int length);

}  // namespace grapes::analog
