#pragma once

#include "grapes/data/collection.h"
#include "grapes/data/stored_array.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace grapes::data {

/// Reads the images of an IDX file (LeCun, Cortes, Burges: the format of MNIST): big-endian u32 2051, count, rows,
/// columns, then count × rows × columns bytes.
/// @param bytes  the unpacked file
/// @param file   its name, for messages
/// @param owner  keeps `bytes` alive: the images then lie in them, without a copy
/// @return [count, 1, rows, columns] uint8
/// @throws DataError for a wrong magic number or a size that does not match the header
at::Tensor idx_images(std::string_view bytes, const std::string& file,
                      const std::shared_ptr<const void>& owner = nullptr);

/// Reads the labels: big-endian u32 2049, count, then count bytes, each in first ... first + classes - 1.
/// @return [count] int64, 0 ... classes-1
/// @throws DataError; for a label out of range with its record number
at::Tensor idx_labels(std::string_view bytes, const std::string& file, std::int64_t classes, std::int64_t first = 0);

/// Reads an IDX file of any type and shape: two zeros, the type (8: uint8, 9: int8, 11: int16, 12: int32, 13: float32,
/// 14: float64), the number of dimensions, their sizes as big-endian u32, and the elements, big-endian.
/// @param owner  keeps `bytes` alive: bytes then lie in them, without a copy
/// @throws DataError as idx_images()
StoredArray idx_array(std::string_view bytes, const std::string& file, const std::shared_ptr<const void>& owner);

/// The bytes of an IDX file of these images, [count, rows, columns] uint8, or labels, [count] from 0 to 255.
std::string write_idx_images(const at::Tensor& images);
std::string write_idx_labels(const at::Tensor& labels);

/// Reads a source of four IDX files: train images, train labels, test images, test labels.
/// @param transposed   pixels are stored column by column, as in EMNIST
/// @param first_label  the number of the first class in the file
/// @throws DataError; also if the number of labels is not that of the images, or test images have another size
Collection read_idx(const SourceFiles& files, bool transposed = false, std::int64_t first_label = 0);

/// Reads a source like that, but with QMNIST's labels: big-endian u32 3074, count, 8, then rows of 8 big-endian i32,
/// the first of which is the class.
Collection read_qmnist(const SourceFiles& files);

}  // namespace grapes::data
