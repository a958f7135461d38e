#pragma once

#include <filesystem>
#include <string>

namespace grapes::data {

/// A folder of its own under the system's temporary folder, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();  ///< @throws DataError
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Let npm unpack a package into `folder`; no script of the package is run.
/// @return the folder of the package
/// @throws DataError if npm is not there or fails
std::filesystem::path npm_install(const std::string& package, const std::filesystem::path& folder);

}  // namespace grapes::data
