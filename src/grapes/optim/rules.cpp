#include "grapes/optim/rules.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

namespace grapes::optim {

std::vector<at::Tensor> zeros_for(const std::vector<Parameter>& parameters) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> zeros;
  for (const Parameter& parameter : parameters) zeros.push_back(at::zeros_like(parameter.value));
  return zeros;
}

double trust_ratio(const at::Tensor& W, double norm, double norm_of_step) {
  return W.dim() < 2 || norm == 0 || norm_of_step == 0 ? 1 : norm / norm_of_step;
}

}  // namespace grapes::optim
