#pragma once

#include <filesystem>
#include <string>

namespace grapes::data {

/// Let npm unpack a package into `folder`; no script of the package is run.
/// @return the folder of the package
/// @throws DataError if npm is not there or fails
std::filesystem::path npm_install(const std::string& package, const std::filesystem::path& folder);

}  // namespace grapes::data
