#pragma once

#include "grapes/kernels/pooling.h"

#include <ATen/core/Tensor.h>

namespace grapes::nn {

using kernels::Pooling;

/// Pools square windows of a map [batch, channel, rows, columns], which may be in blocks of channels
/// (kernels/convolution.h).
/// @param side       of the windows; 0: the whole map
/// @param workspace  null: with tensor operations only, the reference of kernels::pooling()
at::Tensor pool(at::Tensor x, Pooling how, std::int64_t side, const kernels::WorkspacePtr& workspace);

/// Returns the values of x at the positions where `map` has its maximum in each window; the first of equal maxima.
/// @param side  0: one window for the whole map
at::Tensor chosen_by(const at::Tensor& x, const at::Tensor& map, std::int64_t side);

}  // namespace grapes::nn
