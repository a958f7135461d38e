#pragma once

#include "grapes/kernels/number_format.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace grapes::nn {

/// In what numbers a network computes and learns.
///
///   W ← Q_master(W + Q_update(ΔW))                          ΔW by any update rule, in float32
///   z = Q_weights(W) Q_activations(h),  δ = Q_error(m ⊙ φ'(z) ⊙ ...),  dL/dh = Q_weights(W)ᵀ δ,  dL/dW = δ
///   Q_activations(h)ᵀ
///
/// Sums are float32, as are biases, thresholds, normalizations and the state of the update rule; W stands for the
/// weights W and R, and feedback weights B are in W's format. Roundings of values let the error through. In evaluation
/// all roundings are to the nearest.
struct Precision {
  at::ScalarType dtype = at::kFloat;  ///< of the arithmetic
  bool bf16 = false;                  ///< what enters products in training is rounded to bfloat16, and nothing else
  kernels::NumberFormat weights;      ///< as products see them
  kernels::NumberFormat master;       ///< as they are kept; the same, if not given
  kernels::NumberFormat activations;  ///< what enters a layer, the network's inputs among it
  kernels::NumberFormat error;        ///< δ, at every layer's pre-activation, the logits' among it
  kernels::NumberFormat update;       ///< what is added to a weight
  bool has_formats() const { return weights || master || activations || error || update; }
  bool keeps() const { return master || update; }  ///< whether weights are held in a format
};

/// What a layer's numbers are rounded to on their way through one batch; nothing by default.
struct Rounding {
  kernels::NumberFormat weights, activations, error;
  std::uint64_t key = 0;  ///< of this layer and batch, for what is left to chance
  explicit operator bool() const { return weights || activations || error; }
  at::Tensor weight(const at::Tensor& W) const;
  at::Tensor input(const at::Tensor& h) const;
  at::Tensor error_at(const at::Tensor& z, std::int64_t axis = 1) const;
  /// The same with other draws: for what a layer does more than once.
  Rounding of(const char* what, std::int64_t number = 0) const;
};

/// float32, float64, bf16, or PART=FORMAT,... with PART weights, master, activations, error (errors), update (updates),
/// and FORMAT as of kernels::number_format.
/// @throws UsageError
Precision precision_from(const std::string& text);

}  // namespace grapes::nn
