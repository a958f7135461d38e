#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace torch::autograd {
struct Node;
}

/// Scaling what arrives at a node of a graph, but only while one backward pass runs.
namespace grapes::credit {

/// What the hooks of one Modulator share; they outlive it if the graph does.
struct Pass {
  bool running = false;
  std::int64_t number = 0;  ///< of the pass; a hook acts only in that for which it was set
};

/// Multiplies the error that arrives at `node` by m in the pass that is about to run; at most once, however often a
/// retained graph is met again.
/// @param m    [unit] for an axis `dim` of the error (negative: from the end), or broadcastable if dim is null
/// @throws c10::Error if in this pass something else scales there already
void scale_at(torch::autograd::Node& node, const std::shared_ptr<const Pass>& pass, const at::Tensor& m,
              const std::int64_t* dim);

}  // namespace grapes::credit
