#pragma once

#include <ATen/core/Tensor.h>

namespace grapes::kernels {

/// Computes the mean softmax cross-entropy -log softmax(a)[class] as one node of the graph. It runs backward only once.
/// Its reference is at::cross_entropy_loss.
/// @param logits   [batch, k], fusable()
/// @param classes  [batch] int64, 0 ... k-1
/// @return []
/// @throws c10::IndexError for a class outside 0 ... k-1
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& classes);

}  // namespace grapes::kernels
