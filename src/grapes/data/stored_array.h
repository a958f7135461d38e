#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace grapes::data {

/// An array of a file: numbers, or a list of texts.
struct StoredArray {
  at::Tensor values = {};               ///< undefined for texts
  std::vector<std::string> texts = {};  ///< as UTF-8
};

}  // namespace grapes::data
