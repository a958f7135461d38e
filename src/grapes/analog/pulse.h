#pragma once

#include "grapes/analog/device.h"

#include <array>
#include <cstdint>

/// Pulses on an array of devices, on plain numbers: the inner loops of crossbar.h.
namespace grapes::analog {

/// Four random words, a pure function of key and counter: Philox4x32-10 (Salmon et al. 2011). Each draw is addressed by
/// its counter, so results do not depend on the order of the work.
using Words = std::array<std::uint32_t, 4>;
Words random_words(std::uint64_t key, const Words& counter);
/// Converts two words to a number of N(0,1) (Box and Muller); its absolute value is at most 6.7.
float normal(std::uint32_t first, std::uint32_t second);
/// Draws `count` numbers of N(0,1): row `row` of the key.
void normals(std::uint64_t key, std::uint32_t row, std::int64_t count, float* numbers);

/// One device for each of [units, inputs]; null pointers for an array that does not exist.
struct Cells {
  float* state = nullptr;       ///< w, which pulses change
  float* seen = nullptr;        ///< what a read sees; the same memory as `state` without write noise
  const float* up = nullptr;    ///< s+ of each device
  const float* down = nullptr;  ///< s-
  const float* low = nullptr;   ///< lower bound; a device is stuck if both bounds are equal
  const float* high = nullptr;
};

/// The update of an array by stochastic pulse trains. For each example in turn, every input i and unit n sends a train
/// of `length` bits, with probabilities C_x |x_i| and C_δ |δ_n| (at most 1). Each device receives one pulse per
/// coincidence, up if x_i δ_n < 0:
///   E[Δw_ni] = -length C_x C_δ Δw δ_n x_i = -gain · length Δw δ_n x_i                     Gokmen and Vlasov 2016
///   C_x = C_δ = sqrt(gain);   with management C_x = sqrt(gain max|δ| / max|x|), C_δ = gain / C_x
///                                                                                          Gokmen et al. 2017
/// In a one_sided pair, pulses down become pulses up of the minus array.
struct Trains {
  const float* x = nullptr;      ///< [batch, inputs]
  const float* error = nullptr;  ///< [batch, units]
  std::int64_t batch = 0, nodes = 0, inputs = 0;
  double gain = 0;  ///< η / (scale · length · Δw_min)
  int length = 31;  ///< BL, 1 ... 32
  bool management = true;
  std::uint64_t key = 0;
};

/// Sends the pulses. @return number of pulses that devices received
std::int64_t send(const Device& device, const Trains& trains, const Cells& plus, const Cells& minus);
namespace plain {
/// The reference: bit by bit and pulse by pulse, with the same draws and the same bits as send().
std::int64_t send(const Device& device, const Trains& trains, const Cells& plus, const Cells& minus);
}  // namespace plain

/// Returns the bits of one line's train with probability threshold / 2^32, threshold <= 2^32. Bit j is 1 if bits j of
/// 32 random words form a number below the threshold. @param line  index of the line in the array @param sample  index
/// of the example in the batch
std::uint32_t train(std::uint64_t key, std::uint32_t line, std::uint32_t sample, std::uint64_t threshold, int length);

}  // namespace grapes::analog
