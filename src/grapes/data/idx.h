#pragma once

#include "grapes/data/collection.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace grapes::data {

/// The images of an IDX file (LeCun, Cortes, Burges: the format of MNIST): big-endian u32 2051, count, rows, columns,
/// then count × rows × columns bytes.
/// @param bytes  the unpacked file
/// @param file   its name, for messages
/// @return [count, 1, rows, columns] uint8
/// @throws DataError: a wrong magic number, a size that does not match the header
at::Tensor idx_images(std::string_view bytes, const std::string& file);

/// The labels: big-endian u32 2049, count, then count bytes, each in 0 ... classes-1.
/// @return [count] int64
/// @throws DataError, for a label out of range with its record number
at::Tensor idx_labels(std::string_view bytes, const std::string& file, std::int64_t classes);

/// A source of four IDX files: train images, train labels, test images, test labels.
/// @param transposed  pixels are stored column by column, as EMNIST's are
/// @throws DataError, also where there is not one label per image or the test images are of another size
Collection read_idx(const SourceFiles& files, bool transposed = false);

}  // namespace grapes::data
