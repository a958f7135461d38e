#pragma once

#include "grapes/kernels/row_sums.h"

#include <functional>
#include <utility>

/// The update rules, each in one pass over a parameter, its gradient and its states. The row sums of the new weight are
/// computed in the same pass. The functions in `plain` are references with tensor operations; they are also used for
/// tensors that are not fusable(). η is the rate and λ the decay; every rule uses the gradient g + λ W.
namespace grapes::kernels {

/// A gradient: numbers, or δᵀ h of a dense layer, which an update computes in pieces and need not write.
struct Gradient {
  Gradient(at::Tensor value) : value(std::move(value)) {}
  /// @param delta, h  [batch, unit] and [batch, input]; contiguous, both of the weight's dtype or both bfloat16
  Gradient(at::Tensor delta, at::Tensor h) : delta(std::move(delta)), h(std::move(h)) {}
  /// Returns the numbers. @param dtype  of the weight
  at::Tensor numbers(at::ScalarType dtype) const;
  at::Tensor value;  ///< undefined: δᵀ h
  at::Tensor delta, h;
};

/// Updates a parameter with its gradient, inside the backward pass. It may read δ and h only until it returns.
using Learn = std::function<void(const at::Tensor& parameter, const Gradient& g)>;

struct Rate {
  double rate;       ///< η
  double decay = 0;  ///< λ
};

/// W -= η g
void sgd(const Parameter& W, const Gradient& g, Rate rate);
/// v = μ v + η g;  W -= v
void momentum(const Parameter& W, const Gradient& g, const at::Tensor& v, Rate rate, double mu);
/// rest = W;  W -= μ v
void nag_ahead(const Parameter& W, const at::Tensor& v, const at::Tensor& rest, double mu);
/// v = μ v + η g;  W = rest - v
void nag(const Parameter& W, const Gradient& g, const at::Tensor& v, const at::Tensor& rest, Rate rate, double mu);
/// q = ρ q + (1-ρ) g²;  W -= η g / √(q + ε)
void rmsprop(const Parameter& W, const Gradient& g, const at::Tensor& q, Rate rate, double rho, double epsilon);

struct AdamNumbers {
  double beta1, beta2, epsilon;
  double correct1, correct2;  ///< 1 - βᵗ
};
/// m = β₁ m + (1-β₁) g;  v = β₂ v + (1-β₂) g²;  W -= η m̂ / (√v̂ + ε), m̂ = m / (1-β₁ᵗ), v̂ = v / (1-β₂ᵗ)
void adam(const Parameter& W, const Gradient& g, const at::Tensor& m, const at::Tensor& v, Rate rate,
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
