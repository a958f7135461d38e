#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <memory>
#include <string_view>

namespace grapes::data {

/// Type of the numbers in a file.
struct ElementType {
  bool swapped = false;  ///< not in the byte order of this machine
  char kind = 0;         ///< as in NumPy: b (boolean), i (signed), u (unsigned) or f (floating point)
  std::size_t size = 0;  ///< in bytes
};

/// Returns an array of numbers that a file contains.
/// @param bytes  exactly its elements, in C order
/// @param owner  keeps `bytes` alive, for example a MappedFile: the result may then lie in them, without a copy
/// @return  bool, uint8, int8, int16, int32, int64, float16, float32 or float64; what these lack is converted to the
///   next larger type (uint64 and long double to float64)
at::Tensor elements(std::string_view bytes, const ElementType& type, at::IntArrayRef shape,
                    const std::shared_ptr<const void>& owner);

}  // namespace grapes::data
