#pragma once

#include <ATen/core/Tensor.h>

namespace grapes {

/// Returns y and, in the backward pass, sends the error at y to x through fixed feedback weights B.
///   dL/dy passes unchanged;   dL/dx[b,n] += Σ_k B[n,k] · dL/dy[b,k]
/// With y = linear(x.detach(), W) this is feedback alignment (Lillicrap et al. 2016). With y the logits and x a hidden
/// layer it is direct feedback alignment (Nøkland 2016). B receives no gradient.
/// @param y  [batch, k] or [time, batch, k]
/// @param x  [batch, n] or [time, batch, n], the layer that receives the error
/// @param B  [n, k], dtype of y
/// @return   y, as a view
/// @throws   c10::Error if a shape, dtype or device does not match
at::Tensor feedback(const at::Tensor& y, const at::Tensor& x, const at::Tensor& B);

/// Does the same for a convolution: x receives the error at y as if y were the convolution of x with the kernel B.
///   dL/dx += B ⋆ᵀ dL/dy
/// @param y  [batch, out, ...], of any rank, computed from x.detach() with a kernel of B's shape
/// @param x  [batch, in, ...]
/// @param B  [out, in / groups, ...], dtype of y
/// @param stride, padding, dilation  one number per spatial axis of the kernel
/// @return   y, as a view
/// @throws   c10::Error if a shape, dtype or device does not match
at::Tensor feedback_convolution(const at::Tensor& y, const at::Tensor& x, const at::Tensor& B, at::IntArrayRef stride,
                                at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups);

/// Returns W and, in the backward pass, gives its gradient to B too, transposed for a matrix.
///   dL/dW passes unchanged;   dL/dB += (dL/dW)ᵀ
/// If both then get the same update and decay, W - Bᵀ shrinks and B aligns with W (Kolen and Pollack 1994, Akrout et
/// al. 2019):  feedback(linear(x.detach(), mirror(W, B)), x, B)
/// @param W  [unit, input], or a kernel
/// @param B  [input, unit], or a kernel of W's shape; dtype of W
/// @return   W, as a view
/// @throws   c10::Error if a shape, dtype or device does not match
at::Tensor mirror(const at::Tensor& W, const at::Tensor& B);

}  // namespace grapes
