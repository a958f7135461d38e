#pragma once

#include <ATen/core/Tensor.h>

namespace grapes {

/// Send the error at y to x through fixed feedback weights, besides where it goes anyway; the value is y.
///   dL/dy passes unchanged;   dL/dx[b,n] += Σ_k B[n,k] · dL/dy[b,k]
/// Feedback alignment (Lillicrap et al. 2016): y = linear(x.detach(), W). Direct feedback alignment (Nøkland 2016): y
/// the logits, x each hidden layer. B itself receives no gradient.
/// @param y  [batch, k]
/// @param x  [batch, n], the node that receives the error
/// @param B  [n, k], same dtype
/// @return   y, as a view
/// @throws   c10::Error if a shape does not fit
at::Tensor feedback(const at::Tensor& y, const at::Tensor& x, const at::Tensor& B);

}  // namespace grapes
