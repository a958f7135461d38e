#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace grapes::nn {

/// Runs a part of a network without storing its activations, and recomputes them in the backward pass (Chen et al.
/// 2016). It saves memory and costs about a third more time. Gradients of parameters inside are added to their .grad.
/// The graph runs backward once, by backward(), not by torch::autograd::grad().
/// @param piece   gives the same bits in every call; it is called first without a graph, then with one
/// @param slice   number of examples at a time, if the piece treats examples independently; 0: the whole batch at once
/// @param axis    of the examples
at::Tensor recomputed(at::Tensor h, std::function<at::Tensor(at::Tensor)> piece, std::int64_t slice = 0,
                      std::int64_t axis = 0);

}  // namespace grapes::nn
