#pragma once

#include "grapes/base/random.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::nn {

/// A distribution of initial weights W, [n_out, n_in].
struct Initializer {
  std::string name;
  std::string summary;  ///< the distribution, for people
  /// @param sigma  deviation of log |w|; only lognormal uses it
  double (*draw)(double n_in, double n_out, double sigma, Random& random);
};
const std::vector<Initializer>& initializers();

/// Draws a weight of this shape in float64 in row order and converts it to `options`. Runs with the same seed therefore
/// start with the same weights, in float32 or float64 and on any device. With more than two axes n_in and n_out count
/// the whole receptive field, as PyTorch does.
/// @param mask  [n_out, n_in], or undefined: where it is 0, there is no weight, and n_in of a unit counts only its own
at::Tensor initialize(const Initializer& initializer, at::IntArrayRef shape, Random& random,
                      const at::TensorOptions& options, double sigma = 1, const at::Tensor& mask = {});

}  // namespace grapes::nn
