#pragma once

#include "grapes/data/collection.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace grapes::data {

/// Reads the binary files of CIFAR-10 and CIFAR-100 (Krizhevsky 2009). Records have no header. A record consists of its
/// label bytes (one in CIFAR-10; a coarse and a fine label in CIFAR-100) and 1024 bytes each of red, green and blue, 32
/// × 32 row by row. The last label byte is the class.
/// @param bytes   the unpacked file
/// @param file    its name, for messages
/// @param labels  number of labels for each label byte: {10}, {20, 100}
/// @return inputs [n, 3, 32, 32] uint8, targets [n] int64
/// @throws DataError for an empty file, incomplete records, or a label out of range (with its record)
std::pair<at::Tensor, at::Tensor> cifar_records(std::string_view bytes, const std::string& file,
                                                at::IntArrayRef labels);

/// Reads a source whose first `training` files are its training part, in this order, and whose next file is its test
/// part.
Collection read_cifar(const SourceFiles& files, std::size_t training, at::IntArrayRef labels);

}  // namespace grapes::data
