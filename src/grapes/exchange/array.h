#pragma once

#include "grapes/nir/graph.h"

#include <ATen/core/Tensor.h>

/// Converts numbers of NIR to tensors and back. float and double are kept; whole numbers become double.
namespace grapes::exchange {

nir::Array array_of(const at::Tensor& tensor);
/// The tensor owns its memory. @param array  must contain numbers
at::Tensor tensor_of(const nir::Array& array);

}  // namespace grapes::exchange
