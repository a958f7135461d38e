#pragma once

#include <ATen/core/Tensor.h>

namespace grapes::kernels {

/// Mean softmax cross-entropy -log softmax(a)[class] in one node of the graph; runs backwards once. Its reference is
/// at::cross_entropy_loss.
/// @param logits   [batch, k], fusable()
/// @param classes  [batch] int64, 0 ... k-1
/// @return []
/// @throws c10::IndexError for a class out of range
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& classes);

}  // namespace grapes::kernels
