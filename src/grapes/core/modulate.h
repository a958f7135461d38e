#pragma once

#include <ATen/core/Tensor.h>

namespace grapes {

/// Scale the error at each node by its factor; the value is unchanged.
///   y[b,n,...] = z[b,n,...]          dL/dz[b,n,...] = m[n] · dL/dy[b,n,...]      Dellaferrera et al. 2022
/// Not a gradient: finite differences of the value give 1, not m. On a pre-activation (dim 1) this is the propagating
/// version, for the scaled error travels on; on a weight (dim 0: rows) it is the local one, for only that weight's own
/// gradient is scaled; on a weight with dim 1 it scales by presynaptic node.
/// @param z  [batch, node, ...] for dim 1, floating point; or a weight
/// @param m  factor, [node]; or [batch, node] for dim 1, one factor per sample; same dtype and device as z
/// @return   z, as a view
/// @throws   c10::Error unless z.size(dim) equals the nodes of m
at::Tensor modulate(const at::Tensor& z, const at::Tensor& m, int64_t dim = 1);

}  // namespace grapes
