#pragma once

#include "grapes/data/dataset.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"
#include "grapes/record/record.h"

#include <cstdint>
#include <vector>

namespace grapes::train {

/// Measures how much a modulation changes the gradients on one batch, and how unlike the units are. Returns per layer,
/// in the order of Network::weights():
///   "angle"           angle in degrees between the gradient of W with the modulation and without, both on the rule's
///                     route
///   "size"            norm of the gradient of W with the modulation over that without
///   "responsibility"  {"mean", "sd", "cv"}: mean, standard deviation and coefficient of variation (sd / mean) of the
///                     responsibilities of the layer's units; absent for the output layer
/// The passes run on copies of the network, so training continues unchanged, bit for bit.
/// @param seed, step  of the random numbers of the passes
/// @throws UsageError if the network has no gradients
std::vector<record::Json> dose(const nn::Network& model, const nn::Criterion& criterion, const data::Batch& batch,
                               std::uint64_t seed, std::int64_t step);

}  // namespace grapes::train
