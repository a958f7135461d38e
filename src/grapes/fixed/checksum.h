#pragma once

#include "grapes/fixed/network.h"

namespace grapes::fixed {

/// One number that two implementations of a network share only if they agree in every bit: samples are drawn, each is
/// inferred and, where the network learns, learnt; logits, answers and in the end all weights, biases and
/// responsibilities go into it (FNV-1a over words of 32 bits). hardware/micro/check.h is the same for the exported C.
///
/// A sample's inputs are noise within a half, with 1 added at every input whose number is, modulo the outputs, the
/// label: something can be learnt. Every 16th has inputs over the whole range instead, so that all is saturated.
std::uint32_t checksum(const Network& network, State& state, std::size_t samples);

}  // namespace grapes::fixed
