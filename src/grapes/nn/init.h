#pragma once

#include "grapes/base/random.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nn {

/// A way to draw W of shape [n_out, n_in].
struct Initializer {
  std::string name;
  std::string summary;  ///< its distribution
  double (*draw)(double n_in, double n_out, Random& random);
};
const std::vector<Initializer>& initializers();

/// A weight of this shape, drawn in float64 in row order and then converted to `options`: float32 and float64 runs,
/// on whatever device, of one seed begin alike. For more than two axes n_in counts the whole receptive field.
at::Tensor initialize(const Initializer& initializer, at::IntArrayRef shape, Random& random,
                      const at::TensorOptions& options);

}  // namespace grapes::nn
