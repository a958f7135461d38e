#pragma once

#include "grapes/base/hdf5.h"

#include <string>
#include <string_view>
#include <vector>

namespace grapes::hdf5 {

/// Variable-length text is stored in a file's global heap; a data set of text contains references to it. HDF5 1.10
/// trusts the lengths, addresses and indices of a damaged file, and may read beyond its memory or loop forever.
/// Therefore HDF5 only returns the references here, and the heap is read by this module with every size checked.
/// Format: HDF5 File Format Specification 3.0, "Disk Format: Level 1E - Global Heap".

/// Size of a reference in the result of H5Dread, in bytes.
constexpr std::size_t reference_size = 16;
Object reference_type();

/// Returns the texts of references. @param bytes  of the whole file
/// @throws Refused for a damaged reference or heap
std::vector<std::string> long_texts(const std::vector<char>& references, hid_t file, std::string_view bytes);

}  // namespace grapes::hdf5
