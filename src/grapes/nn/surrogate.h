#pragma once

#include "grapes/kernels/snu_rule.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

/// What is to be chosen of a spiking neuron by name: the derivative of its step, and what a spike does to its membrane.
namespace grapes::nn {

/// What stands in for the derivative of the step, as a function of u = (s - θ) / width. Its height at u = 0 does not
/// depend on the width.
struct SurrogateRow {
  std::string name;
  std::string summary;  ///< equation and paper
  at::Tensor (*derivative)(const at::Tensor& u);
  kernels::Surrogate fused;
};
const std::vector<SurrogateRow>& surrogates();

/// 1 where x > 0, else 0; the error is multiplied by the surrogate's derivative at x / width.
at::Tensor spike(const at::Tensor& x, const SurrogateRow& surrogate, double width);

/// What a spike does to the membrane that goes into the next step.
struct ResetRow {
  std::string name;
  std::string summary;
  kernels::Reset fused;
};
const std::vector<ResetRow>& resets();

}  // namespace grapes::nn
