#pragma once

#include "grapes/kernels/workspace.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::kernels {

enum class Pooling { largest, average, sum };

/// Whether pooling() supports the map: float32 or float64 on a CPU.
bool poolable(const at::Tensor& x);

/// Pools square windows as one node of the graph; incomplete windows at the edges are dropped.
///   y = max, mean or sum of each window     dL/dx: to the first maximum of a window, or to all of its values
/// Not twice differentiable; it runs backward only once. The reference with tensor operations is in nn/pool.cpp.
/// A maximum ignores NaN, unless the first value of the window is NaN; torch::max_pool2d returns NaN for every window
/// that has one. A mean or sum of a window with NaN is NaN in both.
/// @param x     [batch, channel, rows, columns], or in blocks of channels, [batch, block, rows, columns, lane]
///              (kernels/convolution.h); poolable(), contiguous, with rows and columns of at least `side`
/// @param side  rows and columns of a window, at least 1
/// @return [batch, channel, rows / side, columns / side], rounded down, in the layout of x
at::Tensor pooling(at::Tensor x, Pooling how, std::int64_t side, const WorkspacePtr& workspace);
/// Returns the value only, without a graph.
at::Tensor pooled(const at::Tensor& x, Pooling how, std::int64_t side, const WorkspacePtr& workspace);

}  // namespace grapes::kernels
