#pragma once

#include "grapes/kernels/number_format.h"

#include <ATen/core/Tensor.h>

#include <string>

namespace grapes::exchange {

/// A layer of an ONNX graph with its numbers in the layout of PyTorch.
struct OnnxLayer {
  std::string where;                    ///< for messages: "net.onnx: node 'fc1' (Gemm)"
  at::Tensor weight;                    ///< [unit, input, ...]
  kernels::NumberFormat weights = {};   ///< format that W is rounded to
  at::Tensor bias = {};                 ///< [unit], or undefined
  at::Tensor scale = {}, shift = {};    ///< γ, β of a batch normalization after it, [unit], or undefined
  at::Tensor mean = {}, variance = {};  ///< its running statistics; ε is that of nn::BatchNorm
  kernels::NumberFormat inputs = {};    ///< format that the inputs are rounded to

  std::int64_t units() const { return weight.size(0); }
  void add(const at::Tensor& offset);  ///< to the outputs @param offset  [unit]
  /// Multiplies the outputs. @param factor  [unit] @throws DataError for rounded weights
  void multiply(const at::Tensor& factor);
  void fold();  ///< makes the normalization part of weight and bias @throws DataError for rounded weights
};

}  // namespace grapes::exchange
