#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

/// The learning rules as recursions over errors, without autograd. Tests compare all other implementations with them.
namespace grapes::testing {

/// A chain h^l = φ(z^l) ⊙ mask^l, z^l = h^{l-1} W^lᵀ.
struct Chain {
  std::vector<at::Tensor> weights;   ///< W^1 ... W^L, [n_l, n_{l-1}]
  std::vector<at::Tensor> feedback;  ///< B per hidden layer if the route has one, else undefined; for usf a number []
  std::vector<at::Tensor> masks;     ///< per hidden layer [batch, n_l], or empty
  std::string activation = "relu";   ///< relu, leaky_relu, tanh, sigmoid, scaled_tanh, identity
  std::string route = "bp";
  std::vector<at::Tensor> factors;  ///< per hidden layer [n_l], or empty
  bool local = false;               ///< factors scale the layer's own update only
};

/// Computes weight gradients G^l = (1/B) δ^lᵀ h^{l-1} of softmax cross-entropy, l = 1 ... L; on kolen-pollack also
/// those of the feedback weights, (G^l)ᵀ, l = 2 ... L.
/// @param inputs [batch, n_0] @param labels [batch] int64
std::vector<at::Tensor> gradients(const Chain& chain, const at::Tensor& inputs, const at::Tensor& labels);

/// Computes clip(gain · Σ_i|W_ni| / max, low, high), [n], in a plain loop.
at::Tensor factor_by_hand(const at::Tensor& weight, double gain = 2, double low = 1, double high = 2);

}  // namespace grapes::testing
