#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace torch::autograd {
struct Node;
}

/// Scales the error that arrives at a node of a graph, only while one backward pass runs.
namespace grapes::credit {

/// State shared by the hooks of one Modulator. The graph keeps it alive.
struct Pass {
  bool running = false;
  std::int64_t number = 0;  ///< of the pass; a hook is active only in the pass for which it was set
};

/// Multiplies the error that arrives at `node` by m in the next pass. With a retained graph it is multiplied at most
/// once per pass.
/// @param m    [unit] along axis `dim` of the error (negative: counted from the end), or broadcastable if dim is null
/// @throws c10::Error if the node is already scaled in this pass
void scale_at(torch::autograd::Node& node, const std::shared_ptr<const Pass>& pass, const at::Tensor& m,
              const std::int64_t* dim);

}  // namespace grapes::credit
