#pragma once

#include "grapes/nn/network.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::train {

/// A piano roll and how probable its notes were.
struct Generated {
  at::Tensor roll;           ///< [time, outputs] of 0 and 1
  at::Tensor probabilities;  ///< [time, outputs]; of the prime its own bits
};
/// A sequence that a network that predicts bits goes on with: at every step each bit is drawn by itself, with the
/// probability sigmoid(logit / temperature).
/// @param prime  [time, outputs], a step at least
Generated go_on(nn::Network& model, const at::Tensor& prime, std::int64_t steps, double temperature,
                std::uint64_t seed);

}  // namespace grapes::train
