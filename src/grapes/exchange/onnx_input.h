#pragma once

#include "grapes/data/normalize.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::exchange {

/// The input of an ONNX graph, up to its first layer.
struct OnnxInput {
  /// x ← x + constant or x · constant, before or after a Flatten.
  struct Step {
    std::string where;  ///< for messages: "net.onnx: node 'center' (Sub)"
    bool product;
    at::Tensor constant;
  };
  std::vector<std::int64_t> shape;  ///< of one example; -1 where the file does not fix it
  std::vector<Step> steps;

  /// Returns all steps as one normalization. @param example  shape of an example
  /// @throws DataError with the step whose constant does not fit the example, or for numbers that are not finite
  data::Normalization normalization(const std::vector<std::int64_t>& example) const;
};

}  // namespace grapes::exchange
