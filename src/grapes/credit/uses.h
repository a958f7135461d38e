#pragma once

#include "grapes/credit/layers.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace torch::autograd {
struct Node;
}

namespace grapes::credit {

/// Where a loss uses a weight: the node of its graph that multiplies by it.
struct Use {
  std::size_t weight = 0;                 ///< as numbered by `sinks`
  torch::autograd::Node* at = nullptr;    ///< whose incoming error is the error at the pre-activation, bias included
  std::int64_t dim = -1;                  ///< of that error: the axis of the nodes; negative counts from the end
  Layout layout;                          ///< of the weight in this use
  torch::autograd::Node* bias = nullptr;  ///< where the gradient of the bias arrives, or null
  bool output = false;                    ///< the error comes from the loss without crossing another use
  std::string strange;                    ///< why the error there cannot be scaled, else empty; `at` is null then
};

/// Every use of weights in the graph of a loss.
/// @param root   grad_fn of the loss
/// @param sinks  the weights' grad_accumulator nodes, numbered
std::vector<Use> uses_of(torch::autograd::Node& root,
                         const std::unordered_map<const torch::autograd::Node*, std::size_t>& sinks);

}  // namespace grapes::credit
