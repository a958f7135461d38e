#pragma once

#include "grapes/kernels/number_format.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace grapes::nn {

/// Number formats of a network.
///
///   W ← Q_master(W + Q_update(ΔW))                          ΔW by any update rule, in float32
///   z = Q_weights(W) Q_activations(h),      δ = Q_error(m ⊙ φ'(z) ⊙ ...)
///   dL/dh = Q_weights(W)ᵀ δ,                dL/dW = δ Q_activations(h)ᵀ
///
/// Sums, biases, thresholds, normalizations and the optimizer's state are float32. The weights are W and R; feedback
/// weights B have the weights' format. Rounding a value passes the error unchanged. In evaluation all rounding is to
/// the nearest.
struct Precision {
  at::ScalarType dtype = at::kFloat;  ///< of the arithmetic
  bool bf16 = false;                  ///< training: operands of products are rounded to bfloat16, and nothing else
  kernels::NumberFormat weights;      ///< weights as products use them
  kernels::NumberFormat master;       ///< weights as they are stored; the same as `weights` if not given
  kernels::NumberFormat activations;  ///< input of each layer, including the network's inputs
  kernels::NumberFormat error;        ///< δ at every layer's pre-activation, including the logits
  kernels::NumberFormat update;       ///< change of a weight in an update
  bool has_formats() const { return weights || master || activations || error || update; }
  bool operator==(const Precision&) const = default;
  bool keeps() const { return master || update; }  ///< whether weights are stored in a format
};

/// Rounding of a layer's numbers in one batch. The default does not round.
struct Rounding {
  kernels::NumberFormat weights, activations, error;
  std::uint64_t key = 0;  ///< of this layer and batch, for stochastic rounding
  explicit operator bool() const { return weights || activations || error; }
  at::Tensor weight(const at::Tensor& W) const;
  at::Tensor input(const at::Tensor& h) const;
  at::Tensor error_at(const at::Tensor& z, std::int64_t axis = 1) const;
  /// The same with another random stream, for a layer that rounds more than once per batch.
  Rounding of(const char* what, std::int64_t number = 0) const;
};

/// Parses float32, float64, bf16, or PART=FORMAT,... PART is weights, master, activations, error (errors) or update
/// (updates); FORMAT is one of kernels::number_format.
/// @throws UsageError
Precision parse_precision(const std::string& text);
/// Writes the parts that have a format; `master` only if it is not the format of the weights.
std::string to_string(const Precision& precision);

}  // namespace grapes::nn
