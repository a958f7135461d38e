#pragma once

#include "grapes/kernels/number_format.h"

#include <ATen/core/Tensor.h>

namespace grapes {

/// Rounds the value and passes the error unchanged (straight-through estimator; Bengio, Léonard, Courville 2013, arXiv
/// 1308.3432).
/// @param axis  axis of the channels, for a format with one scale per channel
/// @param key   key of the random numbers of a stochastic format
/// @return tensor of x's shape; x itself if the format is exact
at::Tensor round_value(const at::Tensor& x, const kernels::NumberFormat& format, std::int64_t axis, std::uint64_t key);

/// Passes the value unchanged and rounds the error.
at::Tensor round_error(const at::Tensor& z, const kernels::NumberFormat& format, std::int64_t axis, std::uint64_t key);

}  // namespace grapes
