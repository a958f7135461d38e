#pragma once

#include "grapes/data/collection.h"

#include <filesystem>
#include <vector>

namespace grapes::data {

/// Returns the entries of a folder without hidden files, in alphabetical order. @throws DataError
std::vector<std::filesystem::path> sorted_entries(const std::filesystem::path& folder);

/// Reads a folder with one folder of PNGs per class. The names of the folders are the classes, in alphabetical order.
/// All images must have the same size. They are read as gray if all are gray, else in color.
/// @throws DataError with the file or folder
Collection read_folder(const std::filesystem::path& path);

}  // namespace grapes::data
