#pragma once

#include "grapes/kernels/number_format.h"

#include <ATen/core/Tensor.h>

namespace grapes {

/// The value rounded, the error as it comes: straight through (Bengio, Léonard, Courville 2013, arXiv 1308.3432).
/// @param axis  of the channels, for a format with a scale of each
/// @param key   of the random numbers of a stochastic format
/// @return of x's shape; x itself if the format is exact
at::Tensor round_value(const at::Tensor& x, const kernels::NumberFormat& format, std::int64_t axis, std::uint64_t key);

/// The value as it is, the error at it rounded before it goes on.
at::Tensor round_error(const at::Tensor& z, const kernels::NumberFormat& format, std::int64_t axis, std::uint64_t key);

}  // namespace grapes
