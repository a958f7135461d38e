#pragma once

#include "grapes/nir/hdf5.h"

#include <string>
#include <string_view>
#include <vector>

namespace grapes::nir::hdf5 {

/// Text of any length lies in a file's global heap, and a data set of text holds references into it. HDF5 1.10 believes
/// whatever length, place and number a damaged file names, and reads beyond its memory or forever. So HDF5 hands out
/// the references as they are, and the heap is read here, with every size checked. Format: HDF5 File Format
/// Specification 3.0, "Disk Format: Level 1E - Global Heap".

/// As what H5Dread reads references: so many bytes each.
constexpr std::size_t reference_size = 16;
Object reference_type();

/// The texts that references name. @param bytes  of the whole file
/// @throws Refused for a reference or a heap that is damaged
std::vector<std::string> long_texts(const std::vector<char>& references, hid_t file, std::string_view bytes);

}  // namespace grapes::nir::hdf5
