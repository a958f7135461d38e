#pragma once

#include "grapes/fixed/network.h"

namespace grapes::fixed {

/// Returns a number that two implementations of a network share only if all bits agree. Examples are generated; each is
/// inferred and, if the network learns, learned. The checksum covers logits, answers, and the final weights, biases and
/// responsibilities (FNV-1a over 32-bit words). hardware/micro/check.h does the same for the exported C.
///
/// Inputs are noise in [-0.5, 0.5], plus 1 for inputs whose index modulo the number of outputs is the label, so there
/// is something to learn. Every 16th example has inputs over the whole range, which saturates all values.
std::uint32_t checksum(const Network& network, State& state, std::size_t samples);

}  // namespace grapes::fixed
