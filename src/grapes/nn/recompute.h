#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace grapes::nn {

/// A piece of a network whose inside is not kept for the backward pass, but computed again there from what went in
/// (Chen et al. 2016): memory for about a third more time. Gradients of what learns inside are added to their .grad;
/// runs backwards once, by backward() and not by a list of gradients.
/// @param piece   gives the same bits whenever it is called; called without a graph, then with one
/// @param slice   so many examples at a time, if each goes through the piece by itself; 0: the batch at once
at::Tensor recomputed(at::Tensor h, std::function<at::Tensor(at::Tensor)> piece, std::int64_t slice = 0);

}  // namespace grapes::nn
