#pragma once

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>

#include <memory>
#include <type_traits>

namespace grapes::kernels {

/// How LibTorch's graph owns its nodes: by std::shared_ptr in 1.13 and 2.6, by c10::intrusive_ptr in 2.13.
using NodePtr = decltype(torch::autograd::Edge::function);

/// Creates a node of the graph.
template <class Node>
auto make_node() {
  if constexpr (std::is_same_v<NodePtr, std::shared_ptr<torch::autograd::Node>>)
    // Unqualified and with a dependent argument, because the function does not exist in 2.13.
    return std::shared_ptr<Node>(new Node, [](auto* node) { deleteNode(node); });
  else
    return c10::make_intrusive<Node>();
}

}  // namespace grapes::kernels
