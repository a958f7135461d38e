#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace grapes::nn {

struct Activation {
  std::string name;
  std::string summary;  ///< its equation
  at::Tensor (*apply)(const at::Tensor& z);
};
/// relu (derivative 0 at 0), leaky_relu (slope 0.1), tanh, sigmoid, scaled_tanh, identity.
const std::vector<Activation>& activations();

}  // namespace grapes::nn
