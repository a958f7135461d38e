#pragma once

#include <ATen/core/Tensor.h>

// The differences between LibTorch 1.13 and 2.x that Grapes meets, in one place.
namespace grapes {

/// What LibTorch's operator registry takes as "Tensor?": its own type before 2.4, std::optional after; the alias
/// c10::optional names the right one in every version that still has it.
using OptionalTensor = c10::optional<at::Tensor>;

}  // namespace grapes
