#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace torch::autograd {
struct Node;
}

/// A frozen weight has no node in a graph. If an error passes through the weight, the node of the product saves the
/// weight for the backward pass. The functions below find it there.
namespace grapes {

/// An operand that a node of a product or a convolution saves and multiplies the error by.
struct SavedOperand {
  std::size_t edge;  ///< index of the edge whose error is multiplied by it
  at::Tensor value;
};
/// Returns the saved operands of mm, addmm, mv, linear and convolution. Other nodes, and operands through which no
/// error passes, give none.
/// @throws c10::Error if an operand was changed in place, or the graph has been freed
std::vector<SavedOperand> saved_operands(const torch::autograd::Node& node);

/// Returns 0 if a tensor is this weight, 1 if it is the transposed weight, and nothing if it is another tensor.
std::optional<int> transpositions_of(const at::Tensor& weight, const at::Tensor& saved);

}  // namespace grapes
