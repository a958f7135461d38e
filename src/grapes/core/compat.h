#pragma once

#include <ATen/core/Tensor.h>

// Types that differ between LibTorch 1.13 and 2.x.
namespace grapes {

/// Type that LibTorch's operator registry uses for "Tensor?": LibTorch's own optional before 2.4, std::optional since.
/// The alias c10::optional refers to the right one in every version that still has it.
using OptionalTensor = c10::optional<at::Tensor>;

}  // namespace grapes
