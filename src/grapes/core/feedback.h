#pragma once

#include <ATen/core/Tensor.h>

namespace grapes {

/// Send the error at y to x through fixed feedback weights, besides where it goes anyway; the value is y.
///   dL/dy passes unchanged;   dL/dx[b,n] += Σ_k B[n,k] · dL/dy[b,k]
/// Feedback alignment (Lillicrap et al. 2016): y = linear(x.detach(), W). Direct feedback alignment (Nøkland 2016): y
/// the logits, x each hidden layer. B itself receives no gradient.
/// @param y  [batch, k], or [time, batch, k]
/// @param x  [batch, n], or [time, batch, n], the node that receives the error
/// @param B  [n, k], same dtype
/// @return   y, as a view
/// @throws   c10::Error if a shape does not fit
at::Tensor feedback(const at::Tensor& y, const at::Tensor& x, const at::Tensor& B);

/// The same through a convolution: x receives the error at y as if y had been made of x with the kernel B.
///   dL/dx += B ⋆ᵀ dL/dy
/// @param y  [batch, out, ...] of any rank, made of x.detach() with a kernel of B's shape
/// @param x  [batch, in, ...]
/// @param B  [out, in / groups, ...], same dtype
/// @param stride, padding, dilation  one each per axis of the kernel
/// @return   y, as a view
/// @throws   c10::Error if a shape does not fit
at::Tensor feedback_convolution(const at::Tensor& y, const at::Tensor& x, const at::Tensor& B, at::IntArrayRef stride,
                                at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups);

}  // namespace grapes
