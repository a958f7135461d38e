#pragma once

#include "grapes/kernels/loops.h"
#include "grapes/kernels/workspace.h"

#include <ATen/core/Tensor.h>

namespace grapes::kernels {

/// ε, and the weight of a batch in the running statistics.
constexpr double norm_epsilon = 1e-5, norm_momentum = 0.1;

/// The arguments of normalization(): what follows the convolution of a normalized layer.
struct Normalization {
  at::Tensor scale, shift;    ///< γ, β, [channel], leaves
  at::Tensor mean, variance;  ///< running, [channel]; or [1] for all channels together
  bool training = false;      ///< use the batch's statistics, else the running ones
  bool remember = false;      ///< update the running ones: 0.9 running + 0.1 batch, with the unbiased variance; a batch
                              ///< of one value has none, and changes nothing
  Activation activation = Activation::identity;
  std::int64_t pool = 1;  ///< side of the max pooling window
  /// Modulation factor, [channel], or undefined: 1. It multiplies the error at z. If all channels are normalized
  /// together, it multiplies the error at a, as in the authors' program (convolution, normalization, activation,
  /// factor); there the order makes a difference.
  at::Tensor error;
  WorkspacePtr workspace;  ///< memory of values and errors
};

/// Whether normalization() supports the layer: float32 on a CPU, and an activation with a slope_of().
bool fusable(const Normalization& layer);

/// Runs normalization, activation and pooling as one node of the graph. The forward and the backward pass each read the
/// map twice, and only z is stored.
///   x̂ = (z - μ) / √(σ² + ε),  a = φ(γ x̂ + β)     value: the largest a of each window; of equal ones the first counts
///   δ = φ'(a) ⊙ dL/da     dL/dγ = Σ δ x̂     dL/dβ = Σ δ
///   dL/dz = m γ / √(σ² + ε) (δ - mean δ - x̂ mean δ x̂)     with running statistics the means are 0
/// If all channels are normalized together, δ = φ'(a) ⊙ m ⊙ dL/da, dL/dz has no m, and the means are over γ δ. The
/// order of sums does not depend on the number of threads. Not twice differentiable; it runs backward only once. The
/// reference with tensor operations is in nn::Conv2dLayer.
/// @param z  in blocks of channels, [batch, channel / block, rows, columns, block]; overwritten if the caller moved it
/// here
/// @return   [batch, channel / 16, rows / pool, columns / pool, 16]
at::Tensor normalization(at::Tensor z, Normalization layer);

}  // namespace grapes::kernels
