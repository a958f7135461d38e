#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

namespace grapes::kernels {

/// Memory that a network's layers use again at every step: activations, errors, gradients. A piece is free when nobody
/// but the workspace holds it, so that what was handed out may be kept for as long as one likes.
/// For one thread at a time.
class Workspace {
 public:
  /// A tensor without content, contiguous, on the CPU.
  at::Tensor take(at::IntArrayRef shape, at::ScalarType dtype);
  /// Whether nobody but the holder of `tensor` (and the workspace) sees its memory: then it may be overwritten.
  bool exclusive(const at::Tensor& tensor) const;
  void let_go();              ///< of the pieces that are free
  std::size_t bytes() const;  ///< in all pieces

 private:
  std::vector<c10::Storage> pieces_;
};
using WorkspacePtr = std::shared_ptr<Workspace>;

}  // namespace grapes::kernels
