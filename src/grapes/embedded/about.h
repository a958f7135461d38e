#pragma once

#include "grapes/experiment/checkpoint.h"

#include <filesystem>
#include <string>
#include <vector>

namespace grapes::embedded {

/// Returns comment lines for c_header(): the network's origin, the scaling of its inputs (the normalization of the
/// training), and the names of its outputs.
/// @param checkpoint  file of the network @param fraction  fraction bits of an input
std::vector<std::string> about(const experiment::Loaded& loaded, const std::filesystem::path& checkpoint, int fraction);

}  // namespace grapes::embedded
