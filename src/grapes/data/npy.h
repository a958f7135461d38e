#pragma once

#include "grapes/data/collection.h"
#include "grapes/data/targets.h"

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace grapes::data {

/// Reads a NumPy array file, format versions 1 to 3 (numpy.lib.format): '<f4', '<f8', '|u1', '<i4' or '<i8', in C
/// order.
/// @return  float32 for '<f4', float64, uint8, int32 or int64, with the array's shape
/// @throws DataError with `file`: not NPY, another type or order, a size that does not match the shape
at::Tensor npy_array(std::string_view bytes, const std::string& file);

/// Reads x.npy [n, ...] and the y.npy next to it ([n] or [n, outputs]). The "x" at the start of the name is replaced by
/// "y". Bytes are read as 0 ... 255; [n, rows, columns] as images with one channel.
/// @throws DataError
Collection read_npy(const std::filesystem::path& path, TargetReading asked);

/// Reads inputs without targets for a trained model: [n, input_shape...] float32. @throws DataError for another shape
at::Tensor npy_inputs(const std::filesystem::path& path, const DatasetInfo& info);

}  // namespace grapes::data
