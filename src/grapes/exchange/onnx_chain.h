#pragma once

#include "grapes/exchange/onnx_input.h"
#include "grapes/exchange/onnx_layer.h"
#include "grapes/nn/models.h"
#include "grapes/onnx/graph.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace grapes::exchange {

/// A graph that is a chain of layers with residual sums, in terms of nn::Stage.
struct OnnxChain {
  OnnxInput input;
  nn::Stages stages;                         ///< without the output layer
  std::vector<OnnxLayer> layers;             ///< in the order of the stages, and the output layer
  std::string activation;                    ///< of all stages that activate; "" if none does
  std::string output;                        ///< output function: softmax, a name in activations(), or "" for none
  at::Tensor target_mean, target_deviation;  ///< y · deviation + mean are the targets; [output], or undefined
};

/// @param file  for messages @throws DataError with the node and its operator
OnnxChain chain_of(const onnx::Graph& graph, const std::string& file);

}  // namespace grapes::exchange
