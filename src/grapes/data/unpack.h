#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace grapes::data {

/// Unpacks a gzip file (RFC 1952; it may have several members). CRC-32 and length are checked.
/// @throws DataError with `file`: not gzip, truncated, corrupt, or with bytes after the end
std::string gunzip(std::string_view bytes, const std::string& file);

/// Unpacks an .xz file and verifies its checksums. @throws DataError with `file`: not xz, truncated, corrupt
std::string unxz(std::string_view bytes, const std::string& file);

/// Returns these bytes of a file, unpacked if they are gzip or xz. @throws DataError
std::string unpacked(std::string bytes, const std::string& file);
/// Returns the bytes of a file, unpacked if it is gzip or xz. @throws DataError
std::string read_unpacked(const std::filesystem::path& path);

/// The bytes of a file: mapped into memory, or unpacked if it is gzip or xz, or read if it is a pipe.
struct UnpackedFile {
  std::string path;        ///< for messages
  std::string_view bytes;  ///< valid as long as `owner` exists
  std::shared_ptr<const void> owner;
};
/// @throws DataError
UnpackedFile open_unpacked(const std::filesystem::path& path);

}  // namespace grapes::data
