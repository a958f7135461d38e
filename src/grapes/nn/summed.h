#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

/// Sums over processes in a graph.
namespace grapes::nn {

/// Sums a contiguous tensor over the processes, in place.
using Sum = std::function<void(const at::Tensor&)>;

/// Which sums a value's graph makes. They differ by what the losses of the processes are:
///   value and error   each process has a part of the loss, and the sum is a part of each
///   value             all have the same loss, and each computes a part of the sum
///   error             all have the same loss, and each uses x to compute a part of what follows
/// @return x, or its sum over the processes; whether the error at x is the error at the result, or its sum
at::Tensor summed(const at::Tensor& x, const Sum& sum, bool value, bool error);

}  // namespace grapes::nn
