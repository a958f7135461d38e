#pragma once

#include "grapes/data/dataset.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"
#include "grapes/record/record.h"

#include <cstdint>
#include <vector>

namespace grapes::train {

/// Returns a number for a record, null if it is not finite.
record::Json finite(double value);
/// Returns the gradient of every layer's W under a rule on one batch, from passes of a copy of the network.
std::vector<at::Tensor> gradients(const nn::Network& model, const Rule& rule, const nn::Criterion& criterion,
                                  const data::Batch& batch, const nn::Pass& pass);
/// Returns the angle between two tensors in degrees, 0 to 180. NaN if one of them is 0.
double angle(const at::Tensor& a, const at::Tensor& b);

/// Compares the gradients of a network's rule with those of backpropagation on one batch. Returns per layer, in the
/// order of Network::weights():
///   "transport"   angle between the gradient of W on the rule's route and that of backpropagation, both without
///                 modulation
///   "modulation"  angle between the gradient with the modulation and without, on the route
///   "feedback"    angle between W and the B that carries its error; absent without B
///   "ratio"       norm of B over norm of W; absent without B
/// The passes run on copies of the network, so training continues unchanged, bit for bit.
/// @param seed, step  of the random numbers of the passes
/// @throws UsageError if the network has no gradients
std::vector<record::Json> alignment(const nn::Network& model, const nn::Criterion& criterion, const data::Batch& batch,
                                    std::uint64_t seed, std::int64_t step);

}  // namespace grapes::train
