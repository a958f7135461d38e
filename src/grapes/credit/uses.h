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

/// The weights to look for in a graph, each with a number.
struct Sought {
  std::unordered_map<const torch::autograd::Node*, std::size_t> learning;  ///< by grad_accumulator
  std::vector<std::pair<at::Tensor, std::size_t>> frozen;                  ///< these have none
  std::unordered_map<const torch::autograd::Node*, std::size_t> biases;    ///< that learn, of frozen weights
};

/// Where a loss uses a weight: the node of its graph that multiplies by it.
struct Use {
  std::size_t weight = 0;                 ///< its number
  torch::autograd::Node* at = nullptr;    ///< whose incoming error is the error at the pre-activation, bias included
  std::int64_t dim = -1;                  ///< of that error: the axis of the units; negative counts from the end
  Layout layout;                          ///< of the weight in this use
  torch::autograd::Node* bias = nullptr;  ///< where the gradient of the bias arrives, or null
  bool output = false;                    ///< the error comes from the loss without crossing another use
  std::string unsupported_reason;         ///< why the error there cannot be scaled, else empty; `at` is null then
  /// Only the bias learns here: the weight is frozen and no error passes through it. `at` is null.
  bool is_bias_alone() const { return at == nullptr && bias != nullptr; }
};

/// Every use of the sought weights in the graph of a loss. A frozen weight is found where an error passes through it;
/// not under autocast, which computes with a copy.
/// @param root  grad_fn of the loss
std::vector<Use> uses_of(torch::autograd::Node& root, const Sought& sought);

}  // namespace grapes::credit
