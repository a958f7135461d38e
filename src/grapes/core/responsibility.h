#pragma once

#include "grapes/core/compat.h"

namespace grapes {

/// Responsibility of each node: how much weight arrives at it (or leaves it).
///   r[n] = mask[n'] · Σ |W[n, ...]| + Σ |R[n, ...]|                        Dellaferrera et al. 2022
/// Dense, recurrent and convolutional weights alike: the sum runs over every axis but `dim`.
/// @param weight     [node, input], [channel out, channel in, kH, kW], ...; floating point
/// @param recurrent  the layer's recurrent weights, same nodes along `dim`; adds to the sum
/// @param dim        0: incoming weights of the rows; 1: outgoing weights of the columns
/// @param mask       [rows of weight], multiplies the rows before the sum (the authors' program masks them by the
/// dropout
///                   of a batch's first sample)
/// @return [size(dim)], same dtype as weight, no gradient
/// @throws c10::Error if a shape does not fit
at::Tensor responsibility(const at::Tensor& weight, const OptionalTensor& recurrent = {}, int64_t dim = 0,
                          const OptionalTensor& mask = {});

/// Modulation factor of each node, from the weights alone; never differentiated.
///   m[n] = clip(gain · r[n] / max r, low, high)                              Dellaferrera et al. 2022
/// Unclipped is low = 0, high = gain: there m lies in [0, gain] by itself. A layer without any weight (max r = 0): m
/// = 1.
/// @return [size(dim)], dimensionless, same dtype as weight
/// @throws c10::ValueError if a weight is not finite, c10::Error if a shape or the range does not fit
at::Tensor factor(const at::Tensor& weight, const OptionalTensor& recurrent = {}, int64_t dim = 0,
                  const OptionalTensor& mask = {}, double gain = 2, double low = 1, double high = 2);

/// The same from responsibilities that are known already. @param r [node]
at::Tensor factor_from(const at::Tensor& r, double gain = 2, double low = 1, double high = 2);

}  // namespace grapes
