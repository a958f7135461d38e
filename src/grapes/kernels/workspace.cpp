#include "grapes/kernels/workspace.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>

namespace grapes::kernels {

at::Tensor Workspace::take(at::IntArrayRef shape, at::ScalarType dtype) {
  const auto bytes = static_cast<std::size_t>(c10::multiply_integers(shape)) * c10::elementSize(dtype);
  c10::Storage* best = nullptr;
  for (c10::Storage& piece : pieces_)  // the smallest free piece that is large enough, but not much larger
    if (piece.use_count() == 1 && piece.nbytes() >= bytes && piece.nbytes() <= 2 * bytes &&
        (best == nullptr || piece.nbytes() < best->nbytes()))
      best = &piece;
  if (best == nullptr) {
    // After a change of batch size, pieces of the old size remain. Release free ones before adding more.
    if (pieces_.size() > 256) let_go();
    pieces_.emplace_back(c10::Storage::use_byte_size_t(), bytes, c10::GetCPUAllocator(), false);
    best = &pieces_.back();
  }
  at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(*best), c10::DispatchKeySet(c10::DispatchKey::CPU), c10::scalarTypeToTypeMeta(dtype));
  tensor.unsafeGetTensorImpl()->set_sizes_contiguous(shape);
  return tensor;
}

bool Workspace::exclusive(const at::Tensor& tensor) const {
  if (tensor.use_count() != 1 || !tensor.is_non_overlapping_and_dense()) return false;
  // A view holds the tensor that it is a view of, and only another holder of that tensor could read it.
  const bool view = tensor.is_view();
  if (view && tensor._base().use_count() != 1) return false;
  const c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
  const bool ours = std::any_of(pieces_.begin(), pieces_.end(),
                                [&](const c10::Storage& piece) { return piece.unsafeGetStorageImpl() == storage; });
  return tensor.storage().use_count() == 1U + (ours ? 1U : 0U) + (view ? 1U : 0U);
}

void Workspace::let_go() {
  std::erase_if(pieces_, [](const c10::Storage& piece) { return piece.use_count() == 1; });
}

std::size_t Workspace::bytes() const {
  std::size_t sum = 0;
  for (const c10::Storage& piece : pieces_) sum += piece.nbytes();
  return sum;
}

}  // namespace grapes::kernels
