#pragma once

#include "grapes/core/compat.h"

namespace grapes {

/// Computes the responsibility of each unit: the sum of its absolute weights.
///   r[n] = mask[n'] · Σ |W[n, ...]| + Σ |R[n, ...]|                        Dellaferrera et al. 2022
/// The sum runs over every axis except `dim`, so the function takes linear, recurrent and convolutional weights.
/// @param weight     W, [unit, input], [channel out, channel in, kH, kW], ...; floating point
/// @param recurrent  R, recurrent weights of the layer, with the same units along `dim`; their sum is added
/// @param dim        0: sum the incoming weights of each row; 1: sum the outgoing weights of each column
/// @param mask       [rows of weight], multiplies the rows before the sum; the authors' program uses the dropout mask
///   of a batch's first example
/// @param mean       divide each sum by the number of its weights that are not 0, as if the others did not exist
/// @return [size(dim)], dtype of weight, without a gradient
/// @throws c10::Error if a shape does not match
at::Tensor responsibility(const at::Tensor& weight, const OptionalTensor& recurrent = {}, int64_t dim = 0,
                          const OptionalTensor& mask = {}, bool mean = false);

/// Computes the modulation factor of each unit from the weights. The result is not differentiable.
///   m[n] = clip(gain · r[n] / max r, low, high)                              Dellaferrera et al. 2022
/// For factors without a clip use low = 0 and high = gain; they are in [0, gain]. If all weights are 0, all factors are
/// 1.
/// @return [size(dim)], dimensionless, dtype of weight
/// @throws c10::ValueError if a weight is not finite; c10::Error if a shape does not match or the range is empty
at::Tensor factor(const at::Tensor& weight, const OptionalTensor& recurrent = {}, int64_t dim = 0,
                  const OptionalTensor& mask = {}, double gain = 2, double low = 1, double high = 2);

/// Computes factors from given responsibilities. @param r [unit]
at::Tensor factor_from(const at::Tensor& r, double gain = 2, double low = 1, double high = 2);

}  // namespace grapes
