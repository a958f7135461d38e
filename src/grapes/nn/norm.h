#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace grapes::nn {

/// Whose mean and variance a normalized layer takes.
enum class Norm {
  none,
  batch,  ///< of each channel (Ioffe and Szegedy 2015)
  tensor  ///< of all channels together: what the authors' program calls batch normalization
};

/// Normalization over a batch.
///   y = γ (x - μ) / √(σ² + ε) + β       training: μ, σ² of the batch; else the running ones
/// γ and β are one per channel; ε = 1e-5; running ← 0.9 running + 0.1 batch, its variance without bias.
struct BatchNorm {
  Norm kind = Norm::none;
  at::Tensor scale, shift;    ///< γ, β, [channel], leaves
  at::Tensor mean, variance;  ///< running, [channel]; of Norm::tensor [1]

  static BatchNorm make(Norm kind, std::int64_t channels, const at::TensorOptions& options);
  explicit operator bool() const { return kind != Norm::none; }
  /// @param x  [batch, channel, ...] @param remember  whether the running statistics move
  at::Tensor forward(const at::Tensor& x, bool training, bool remember) const;
};

}  // namespace grapes::nn
