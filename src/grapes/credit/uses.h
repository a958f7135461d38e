#pragma once

#include "grapes/credit/module_info.h"

#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace torch::autograd {
struct Node;
}

namespace grapes::credit {

/// The weights to find in a graph, each with a number.
struct Sought {
  std::unordered_map<const torch::autograd::Node*, std::size_t>
      learning;                                            ///< weights that require a gradient, by grad_accumulator
  std::vector<std::pair<at::Tensor, std::size_t>> frozen;  ///< frozen weights, which have no accumulator
  std::unordered_map<const torch::autograd::Node*, std::size_t>
      biases;  ///< biases of frozen weights that require a gradient, by grad_accumulator
};

/// A use of a weight: a node of the loss's graph that multiplies by the weight.
struct Use {
  std::size_t weight = 0;  ///< number of the weight
  torch::autograd::Node* at =
      nullptr;            ///< the node whose incoming error is the error at the pre-activation, bias included
  std::int64_t dim = -1;  ///< axis of the units in that error; negative: counted from the end
  Layout layout;          ///< layout of the weight in this use
  torch::autograd::Node* bias = nullptr;  ///< node where the gradient of the bias arrives, or null
  bool output = false;                    ///< the error comes from the loss without crossing another use
  std::string unsupported_reason;         ///< why the error cannot be scaled, else empty; `at` is then null
  /// Only the bias requires a gradient: the weight is frozen and no error passes through it. `at` is null.
  bool is_bias_alone() const { return at == nullptr && bias != nullptr; }
};

/// Finds every use of the weights in the graph of a loss. A frozen weight is found if an error passes through it,
/// except under autocast, which computes with a copy.
/// @param root  grad_fn of the loss
std::vector<Use> uses_of(torch::autograd::Node& root, const Sought& sought);

}  // namespace grapes::credit
