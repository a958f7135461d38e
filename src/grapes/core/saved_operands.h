#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace torch::autograd {
struct Node;
}

/// A frozen weight has no node in a graph. Where an error passes through it, it is among the tensors that the product's
/// node keeps for its backward pass.
namespace grapes {

/// What a node of a product or a convolution multiplies the error by on its way down.
struct SavedOperand {
  std::size_t edge;  ///< of the node: which operand it is
  at::Tensor value;
};
/// Of mm, addmm, mv, linear and convolution; of other nodes, and of operands that no error passes, none.
/// @throws c10::Error if one was changed in place, or the graph has been freed
std::vector<SavedOperand> saved_operands(const torch::autograd::Node& node);

/// Whether a tensor is this weight, seen as it lies (0) or transposed (1); nothing: it is another.
std::optional<int> transpositions_of(const at::Tensor& weight, const at::Tensor& saved);

}  // namespace grapes
