#pragma once

#include "grapes/experiment/checkpoint.h"

#include <filesystem>
#include <string>
#include <vector>

namespace grapes::embedded {

/// What the reader of an exported network must know: where it comes from, how its inputs are scaled (the normalization
/// of the training), what its outputs are called. Lines for c_header().
/// @param checkpoint  whose name is told @param fraction  of an input, in bits
std::vector<std::string> about(const experiment::Loaded& loaded, const std::filesystem::path& checkpoint, int fraction);

}  // namespace grapes::embedded
