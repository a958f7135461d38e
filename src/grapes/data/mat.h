#pragma once

#include "grapes/data/stored_array.h"

#include <filesystem>
#include <map>
#include <string>

namespace grapes::data {

/// Reads the arrays of a MATLAB file, versions 4, 5 and 7.3 (HDF5), by libmatio. A field of a structure is called
/// STRUCTURE_FIELD. Numbers, logical values and texts (rows of characters, or cells that contain one text each) are
/// read; other variables are left out.
/// @throws DataError for a file that is not MATLAB's or is corrupt, and for complex and sparse arrays
std::map<std::string, StoredArray> mat_arrays(const std::filesystem::path& path);
/// Returns the numbers of one of these arrays. @param file  for messages @throws DataError if they are missing
at::Tensor numbers(const std::map<std::string, StoredArray>& arrays, const std::string& name, const std::string& file);

}  // namespace grapes::data
