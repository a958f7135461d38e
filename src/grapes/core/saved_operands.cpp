#include "grapes/core/saved_operands.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/generated/Functions.h>

namespace grapes {

std::vector<SavedOperand> saved_operands(const torch::autograd::Node& node) {
  using namespace torch::autograd::generated;
  std::vector<SavedOperand> found;
  const auto keep = [&](std::size_t edge, const torch::autograd::SavedVariable& saved) {
    if (at::Tensor value = saved.unpack(); value.defined()) found.push_back({edge, std::move(value)});
  };
  if (const auto* addmm = dynamic_cast<const AddmmBackward0*>(&node)) {
    keep(1, addmm->mat1_);
    keep(2, addmm->mat2_);
  } else if (const auto* mm = dynamic_cast<const MmBackward0*>(&node)) {
    keep(0, mm->self_);
    keep(1, mm->mat2_);
  } else if (const auto* mv = dynamic_cast<const MvBackward0*>(&node)) {
    keep(0, mv->self_);
  } else if (const auto* linear = dynamic_cast<const LinearBackward0*>(&node)) {
    keep(1, linear->weight_);
  } else if (const auto* convolution = dynamic_cast<const ConvolutionBackward0*>(&node)) {
    keep(1, convolution->weight_);
  }
  return found;
}

std::optional<int> transpositions_of(const at::Tensor& weight, const at::Tensor& saved) {
  if (!saved.has_storage() || saved.data_ptr() != weight.data_ptr() || saved.scalar_type() != weight.scalar_type())
    return std::nullopt;
  if (saved.sizes() == weight.sizes() && saved.strides() == weight.strides()) return 0;
  if (weight.dim() == 2 && saved.dim() == 2 && saved.size(0) == weight.size(1) && saved.size(1) == weight.size(0) &&
      saved.stride(0) == weight.stride(1) && saved.stride(1) == weight.stride(0))
    return 1;
  return std::nullopt;
}

}  // namespace grapes
