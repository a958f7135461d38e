#pragma once

#include "grapes/data/stored_array.h"

#include <memory>
#include <string>
#include <string_view>

namespace grapes::data {

/// Reads a NumPy array file, format versions 1 to 3 (numpy.lib.format): booleans, whole numbers and floating point of
/// all sizes and strings, little- and big-endian, in C or Fortran order.
/// @param owner  keeps `bytes` alive, for example a MappedFile: the values may then lie in them, without a copy
/// @return  bool, uint8, int8, int16, int32, int64, float16, float32 or float64; what these lack is converted to the
///   next larger type (uint64 and long double to float64)
/// @throws DataError with `file`: not NPY, objects, dates, complex numbers, named fields, a size that does not
///   match the shape
StoredArray npy_array(std::string_view bytes, const std::string& file,
                      const std::shared_ptr<const void>& owner = nullptr);

}  // namespace grapes::data
