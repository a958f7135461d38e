#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace grapes::nn {

/// Which mean and variance a normalization uses.
enum class Norm {
  none,
  batch,   ///< of each channel (Ioffe and Szegedy 2015)
  tensor,  ///< of all channels together; the authors' program calls this batch normalization
  /// Of each channel, with γ that starts at the neurons' threshold, so that the standard deviation of the currents
  /// equals the threshold (tdBN; Zheng et al. 2021). In spiking networks the batch is all time steps of all examples.
  threshold
};

/// The processes that compute a batch together, for statistics over all of it.
struct Together {
  std::function<void(const at::Tensor&)> sum;  ///< sums a tensor over the processes, in place
  bool counts = true;                          ///< false: the examples of this process are not part of the batch
};

/// Normalization over a batch.
///   y = γ (x - μ) / √(σ² + ε) + β       training: μ, σ² of the batch; else the running ones
/// γ and β are per channel; ε = 1e-5; running ← 0.9 running + 0.1 batch, with the unbiased variance of the batch.
/// A batch with one value per mean has no unbiased variance, and does not change the running ones.
struct BatchNorm {
  Norm kind = Norm::none;
  at::Tensor scale, shift;    ///< γ, β, [channel], leaves
  at::Tensor mean, variance;  ///< running, [channel]; of Norm::tensor [1]

  /// @param threshold  θ, of Norm::threshold
  static BatchNorm make(Norm kind, std::int64_t channels, const at::TensorOptions& options, double threshold = 1);
  explicit operator bool() const { return kind != Norm::none; }
  /// @param x  [batch, channel, ...] @param remember  whether the running statistics are updated
  /// @param together  null: the batch is x; else x is a part of it, and may have no example
  at::Tensor forward(const at::Tensor& x, bool training, bool remember, const Together* together = nullptr) const;

 private:
  at::Tensor over_processes(const at::Tensor& x, bool remember, const Together& together) const;
};

}  // namespace grapes::nn
