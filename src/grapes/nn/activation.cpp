#include "grapes/nn/activation.h"

#include <ATen/ATen.h>

namespace grapes::nn {
namespace {

using Fused = kernels::Activation;

at::Tensor relu(const at::Tensor& z) { return at::relu(z); }
at::Tensor leaky_relu(const at::Tensor& z) { return at::leaky_relu(z, kernels::leaky_slope); }
at::Tensor hyperbolic_tangent(const at::Tensor& z) { return at::tanh(z); }
at::Tensor logistic(const at::Tensor& z) { return at::sigmoid(z); }
at::Tensor scaled_tanh(const at::Tensor& z) {
  return at::tanh(z * kernels::scaled_tanh_inner) * kernels::scaled_tanh_outer;
}
at::Tensor identity(const at::Tensor& z) { return z; }

}  // namespace

const std::vector<Activation>& activations() {
  static const std::vector<Activation> rows = {
      {"relu", "max(z, 0); derivative 0 at 0", relu, Fused::relu},
      {"leaky_relu", "z for z > 0, else 0.1 z", leaky_relu, Fused::leaky_relu},
      {"tanh", "tanh z", hyperbolic_tangent, Fused::tanh},
      {"sigmoid", "1 / (1 + exp -z)", logistic, Fused::sigmoid},
      {"scaled_tanh", "1.7159 tanh(0.6666 z) (LeCun 1989; Cireşan et al. 2010)", scaled_tanh, Fused::scaled_tanh},
      {"identity", "z", identity, Fused::identity},
  };
  return rows;
}

}  // namespace grapes::nn
