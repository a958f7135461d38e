#pragma once

#include "grapes/kernels/loops.h"
#include "grapes/kernels/workspace.h"

#include <ATen/core/Tensor.h>

namespace grapes::kernels {

/// ε beside the variance, and the share of a batch in the running statistics.
constexpr double norm_epsilon = 1e-5, norm_momentum = 0.1;

/// Everything that follows a layer's convolution where it is normalized.
struct Normalization {
  at::Tensor scale, shift;    ///< γ, β, [channel], leaves
  at::Tensor mean, variance;  ///< running, [channel]; or [1]: one of all channels together
  bool training = false;      ///< by the batch's statistics, else by the running ones
  bool remember = false;      ///< whether the running ones move: 0.9 running + 0.1 batch, its variance without bias
  Activation activation = Activation::identity;
  std::int64_t pool = 1;  ///< side of the squares whose maximum is taken
  /// Modulation factor, [channel], or undefined: 1. At z; at a where all channels are normalized together, for there
  /// the two do not commute, and the authors' program has convolution, normalization, activation, then the factor.
  at::Tensor error;
  WorkspacePtr workspace;  ///< where values and errors live
};

/// Whether normalization() can run it: float32 on a CPU, an activation whose value tells its derivative.
bool fusable(const Normalization& layer);

/// All of it in one node of the graph, in two passes each way, which keeps z alone:
///   x̂ = (z - μ) / √(σ² + ε),  a = φ(γ x̂ + β)     value: the largest a of each square; of equal ones the first counts
///   δ = φ'(a) ⊙ dL/da     dL/dγ = Σ δ x̂     dL/dβ = Σ δ
///   dL/dz = m γ / √(σ² + ε) (δ - mean δ - x̂ mean δ x̂)     the means 0 by running statistics
/// Where all channels have theirs together: δ = φ'(a) ⊙ m ⊙ dL/da, no m in dL/dz, and the means over γ δ.
/// Sums are taken in the same order by any number of threads. Not differentiable twice, and backwards once. Its
/// reference of plain tensor operations is nn::Conv2dLayer's.
/// @param z  in blocks of channels, [batch, channel / 16, rows, columns, 16]; overwritten if it was given away
/// @return   [batch, channel / 16, rows / pool, columns / pool, 16]
at::Tensor normalization(at::Tensor z, Normalization layer);

}  // namespace grapes::kernels
