#pragma once

#include "grapes/data/collection.h"

#include <filesystem>
#include <vector>

namespace grapes::data {

/// What lies in a folder, hidden files left out, in alphabetical order. @throws DataError
std::vector<std::filesystem::path> sorted_entries(const std::filesystem::path& folder);

/// A folder with one folder of PNGs per class, whose names are the classes, in alphabetical order. All images have one
/// size; they are read in gray if all are gray, else in color.
/// @throws DataError that names the file or folder
Collection read_folder(const std::filesystem::path& path);

}  // namespace grapes::data
