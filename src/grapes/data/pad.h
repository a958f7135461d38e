#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace grapes::data {

/// Pictures in the middle of side x side pixels, zeros, the background, around them. Where it is uneven, the odd row
/// or column is below or to the right.
/// @param pictures  [..., rows, columns]
/// @param name      of the data set, for messages
/// @throws UsageError that names --pad if a picture is larger than that
at::Tensor padded(const at::Tensor& pictures, std::int64_t side, const std::string& name);

}  // namespace grapes::data
