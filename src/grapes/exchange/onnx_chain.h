#pragma once

#include "grapes/data/normalize.h"
#include "grapes/kernels/number_format.h"
#include "grapes/nn/models.h"
#include "grapes/onnx/graph.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace grapes::exchange {

/// A layer of an ONNX graph with its numbers in the layout of PyTorch.
struct OnnxLayer {
  std::string node;                     ///< for messages: "'fc1' (Gemm)"
  at::Tensor weight;                    ///< [unit, input, ...]
  at::Tensor bias = {};                 ///< [unit], or undefined
  at::Tensor scale = {}, shift = {};    ///< γ, β of a batch normalization after it, [unit], or undefined
  at::Tensor mean = {}, variance = {};  ///< its running statistics; ε is that of nn::BatchNorm
  kernels::NumberFormat weights = {}, activations = {};  ///< formats that W and the inputs are rounded to
  void fold();                                           ///< makes the normalization part of weight and bias
};

/// A graph that is a chain of layers with residual sums, in terms of nn::Stage.
struct OnnxChain {
  std::vector<std::int64_t> input;           ///< shape of one example; -1 where the file does not fix it
  data::Normalization normalization;         ///< of the inputs
  nn::Stages stages;                         ///< without the output layer
  std::vector<OnnxLayer> layers;             ///< in the order of the stages, and the output layer
  std::string activation;                    ///< of all stages that activate; "" if none does
  std::string output;                        ///< output function: softmax, a name in activations(), or "" for none
  at::Tensor target_mean, target_deviation;  ///< of the targets, [output], or undefined
};

/// @param file  for messages @throws DataError with the node and its operator
OnnxChain chain_of(const onnx::Graph& graph, const std::string& file);

}  // namespace grapes::exchange
