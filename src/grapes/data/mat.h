#pragma once

#include "grapes/data/collection.h"

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace grapes::data {

/// Reads an array of numbers from a MATLAB file (version 5, or 7.3, which is HDF5).
/// @param name  of the variable, or of a field of structures: "dataset.train.images"
/// @return the array with MATLAB's dimensions, uint8 if it is stored so, else float64
/// @throws DataError with the file and the name
at::Tensor read_mat(const std::filesystem::path& path, const std::string& name);
/// Whether the file has a variable of that name.
bool has_mat_variable(const std::filesystem::path& path, const std::string& name);

/// Street View House Numbers (Netzer et al. 2011): train_32x32.mat and test_32x32.mat, each with X [rows, columns,
/// channels, n] and y, where 10 stands for the digit 0.
Collection read_svhn(const SourceFiles& files);

}  // namespace grapes::data
