#pragma once

#include "grapes/kernels/snu_rule.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

/// Tables of surrogates, the derivatives of a spike, and of resets, the effect of a spike on the membrane.
namespace grapes::nn {

/// A function of u = (s - θ) / width that replaces the derivative of the step. Its height at u = 0 does not depend on
/// the width.
struct SurrogateRow {
  std::string name;
  std::string summary;  ///< equation and source
  at::Tensor (*derivative)(const at::Tensor& u);
  kernels::Surrogate fused;
};
const std::vector<SurrogateRow>& surrogates();

/// Returns 1 where x > 0, else 0. The error is multiplied by the surrogate at x / width.
at::Tensor spike(const at::Tensor& x, const SurrogateRow& surrogate, double width);

/// The effect of a spike on the membrane of the next step.
struct ResetRow {
  std::string name;
  std::string summary;
  kernels::Reset fused;
};
const std::vector<ResetRow>& resets();

}  // namespace grapes::nn
