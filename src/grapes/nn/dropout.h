#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::nn {

/// Inverted dropout's mask: 1/(1-p) with probability 1-p, else 0; a pure function of (seed, step, layer), so that it
/// need not be kept to resume or to check.
/// @param p  probability to drop, 0 ... <1
/// @return [batch, nodes]
at::Tensor dropout_mask(std::uint64_t seed, std::int64_t step, std::size_t layer, std::int64_t batch,
                        std::int64_t nodes, double p, at::ScalarType dtype);

}  // namespace grapes::nn
