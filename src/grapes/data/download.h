#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace grapes::data {

/// Called during a download with the file's name, the bytes received, and the total.
using Progress = std::function<void(const std::string& what, std::uint64_t done, std::uint64_t total)>;

/// A file to download.
struct Download {
  std::string url;  ///< https://, or http:// if `insecure`
  bool insecure = false;
  std::filesystem::path destination;
  std::uint64_t bytes = 0;
  std::string sha256;
};

/// Downloads a file. Received bytes are stored as NAME.part, and the next attempt resumes there. Only a complete file
/// with the right SHA-256 gets the final name. A broken connection is retried as long as it makes progress.
/// @throws DataError with the url and the reason; Interrupted after a signal
void download(const Download& what, const Progress& progress);

}  // namespace grapes::data
