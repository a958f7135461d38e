#pragma once

#include "grapes/nir/graph.h"

#include <ATen/core/Tensor.h>

/// Numbers of NIR as tensors and back. float and double stay what they are; whole numbers become double.
namespace grapes::exchange {

nir::Array array_of(const at::Tensor& tensor);
/// The tensor owns its memory. @param array  numbers
at::Tensor tensor_of(const nir::Array& array);

}  // namespace grapes::exchange
