#pragma once

#include "grapes/data/collection.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace grapes::data {

/// Reads the images of an IDX file (LeCun, Cortes, Burges: the format of MNIST): big-endian u32 2051, count, rows,
/// columns, then count × rows × columns bytes.
/// @param bytes  the unpacked file
/// @param file   its name, for messages
/// @return [count, 1, rows, columns] uint8
/// @throws DataError for a wrong magic number or a size that does not match the header
at::Tensor idx_images(std::string_view bytes, const std::string& file);

/// Reads the labels: big-endian u32 2049, count, then count bytes, each in 0 ... classes-1.
/// @return [count] int64
/// @throws DataError; for a label out of range with its record number
at::Tensor idx_labels(std::string_view bytes, const std::string& file, std::int64_t classes);

/// Reads a source of four IDX files: train images, train labels, test images, test labels.
/// @param transposed  pixels are stored column by column, as in EMNIST
/// @throws DataError; also if the number of labels is not that of the images, or test images have another size
Collection read_idx(const SourceFiles& files, bool transposed = false);

}  // namespace grapes::data
