#pragma once

#include <ATen/core/Tensor.h>

namespace grapes {

/// Returns z and, in the backward pass, multiplies the error at each unit by the unit's factor.
///   y[b,n,...] = z[b,n,...]          dL/dz[b,n,...] = m[n] · dL/dy[b,n,...]      Dellaferrera et al. 2022
/// The result is not the gradient of the value: finite differences give 1, not m. On a pre-activation (dim 1) this is
/// the propagating version of GRAPES, because the layers below receive the scaled error. On a weight with dim 0
/// it is the local version, because only that weight's gradient is scaled. On a weight with dim 1 it scales the
/// gradient by input unit.
/// @param z  [batch, unit, ...] for dim 1, or a weight; floating point
/// @param m  factor, [unit]; for dim 1 also [batch, unit], one factor per example; dtype and device of z
/// @return   z, as a view
/// @throws   c10::Error if the number of units in m is not z.size(dim), or a dtype or device does not match
at::Tensor modulate(const at::Tensor& z, const at::Tensor& m, int64_t dim = 1);

}  // namespace grapes
