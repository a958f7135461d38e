#pragma once

#include "grapes/kernels/row_sums.h"

/// The update rules, each in one pass over a parameter, its gradient and its states. The row sums of the new weight are
/// computed in the same pass. The functions in `plain` are references with tensor operations; they are also used for
/// tensors that are not fusable(). η is the rate and λ the decay; every rule uses the gradient g + λ W.
namespace grapes::kernels {

struct Rate {
  double rate;       ///< η
  double decay = 0;  ///< λ
};

/// W -= η g
void sgd(const Parameter& W, const at::Tensor& g, Rate rate);
/// v = μ v + η g;  W -= v
void momentum(const Parameter& W, const at::Tensor& g, const at::Tensor& v, Rate rate, double mu);
/// rest = W;  W -= μ v
void nag_ahead(const Parameter& W, const at::Tensor& v, const at::Tensor& rest, double mu);
/// v = μ v + η g;  W = rest - v
void nag(const Parameter& W, const at::Tensor& g, const at::Tensor& v, const at::Tensor& rest, Rate rate, double mu);
/// q = ρ q + (1-ρ) g²;  W -= η g / √(q + ε)
void rmsprop(const Parameter& W, const at::Tensor& g, const at::Tensor& q, Rate rate, double rho, double epsilon);

struct AdamNumbers {
  double beta1, beta2, epsilon;
  double correct1, correct2;  ///< 1 - βᵗ
};
/// m = β₁ m + (1-β₁) g;  v = β₂ v + (1-β₂) g²;  W -= η m̂ / (√v̂ + ε), m̂ = m / (1-β₁ᵗ), v̂ = v / (1-β₂ᵗ)
void adam(const Parameter& W, const at::Tensor& g, const at::Tensor& m, const at::Tensor& v, Rate rate,
          const AdamNumbers& numbers);

namespace plain {
void sgd(const Parameter& W, const at::Tensor& g, Rate rate);
void momentum(const Parameter& W, const at::Tensor& g, const at::Tensor& v, Rate rate, double mu);
void nag_ahead(const Parameter& W, const at::Tensor& v, const at::Tensor& rest, double mu);
void nag(const Parameter& W, const at::Tensor& g, const at::Tensor& v, const at::Tensor& rest, Rate rate, double mu);
void rmsprop(const Parameter& W, const at::Tensor& g, const at::Tensor& q, Rate rate, double rho, double epsilon);
void adam(const Parameter& W, const at::Tensor& g, const at::Tensor& m, const at::Tensor& v, Rate rate,
          const AdamNumbers& numbers);
}  // namespace plain

}  // namespace grapes::kernels
