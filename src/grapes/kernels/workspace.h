#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

namespace grapes::kernels {

/// Memory that a network's layers reuse in every step for activations, errors and gradients. A piece is free when only
/// the workspace refers to it, so callers may keep tensors as long as they need them. Not thread-safe.
class Workspace {
 public:
  /// Returns an uninitialized contiguous tensor on the CPU.
  at::Tensor take(at::IntArrayRef shape, at::ScalarType dtype);
  /// Whether only the holder of `tensor` and the workspace use its memory, so that it may be overwritten.
  bool exclusive(const at::Tensor& tensor) const;
  void let_go();              ///< releases the free pieces
  std::size_t bytes() const;  ///< size of all pieces

 private:
  std::vector<c10::Storage> pieces_;
};
using WorkspacePtr = std::shared_ptr<Workspace>;

}  // namespace grapes::kernels
