#pragma once

#include "grapes/data/collection.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace grapes::data {

/// The binary files of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): records without a header, each its label bytes (of
/// CIFAR-10 one; of CIFAR-100 two, the coarse and the fine label), then 1024 bytes of red, of green and of blue,
/// 32 × 32 row by row. The last label byte is the class.
/// @param bytes   the unpacked file
/// @param file    its name, for messages
/// @param labels  how many there are for each label byte: {10}, {20, 100}
/// @return inputs [n, 3, 32, 32] uint8, targets [n] int64
/// @throws DataError: empty, not whole records, a label out of range, by its record
std::pair<at::Tensor, at::Tensor> cifar_records(std::string_view bytes, const std::string& file,
                                                at::IntArrayRef labels);

/// A source whose first `training` files are its training part, in this order, and whose next is its test part.
Collection read_cifar(const SourceFiles& files, std::size_t training, at::IntArrayRef labels);

}  // namespace grapes::data
