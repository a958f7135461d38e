#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace grapes::data {

/// The content of a gzip file (RFC 1952; several members follow one another). Its CRC-32 and length are checked.
/// @throws DataError that names `file`: not gzip, cut off, corrupt, or with bytes after the end
std::string gunzip(std::string_view bytes, const std::string& file);

/// The content of an .xz file, its checks checked. @throws DataError that names `file`: not xz, cut off, corrupt
std::string unxz(std::string_view bytes, const std::string& file);

/// The bytes of a file, unpacked if it is gzip or xz. @throws DataError
std::string read_unpacked(const std::filesystem::path& path);

}  // namespace grapes::data
