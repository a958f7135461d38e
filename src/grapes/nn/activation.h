#pragma once

#include "grapes/kernels/loops.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace grapes::nn {

struct Activation {
  std::string name;
  std::string summary;  ///< equation, for people
  at::Tensor (*apply)(const at::Tensor& z);
  kernels::Activation fused;  ///< the activation as the fused layers name it
};
/// relu (derivative 0 at 0), leaky_relu (slope 0.1), tanh, sigmoid, scaled_tanh, identity.
const std::vector<Activation>& activations();

}  // namespace grapes::nn
