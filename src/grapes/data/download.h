#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace grapes::data {

/// Told while a file comes: its name, the bytes that are there, and all of them.
using Progress = std::function<void(const std::string& what, std::uint64_t done, std::uint64_t total)>;

/// One file to bring over the network.
struct Download {
  std::string url;  ///< https://; also http:// if `insecure`
  bool insecure = false;
  std::filesystem::path destination;
  std::uint64_t bytes = 0;
  std::string sha256;
};

/// Bring the file. What has come so far lies beside it as NAME.part, from where the next try goes on; only a whole file
/// with the right SHA-256 gets the final name. A line that breaks is taken up again while it still makes progress.
/// @throws DataError that names the url and what went wrong; Interrupted after a signal
void download(const Download& what, const Progress& progress);

}  // namespace grapes::data
