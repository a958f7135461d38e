#pragma once

#include <map>
#include <string>
#include <string_view>

namespace grapes::data {

/// An entry of a zip archive.
struct ZipEntry {
  std::string_view stored;  ///< its bytes in the archive
  bool deflated = false;
  std::size_t size = 0;  ///< unpacked
  std::uint32_t crc = 0;
};

/// Returns the entries of a zip archive by name (PKWARE's APPNOTE 6.3, with zip64; stored or deflated, not encrypted).
/// The archive's bytes must outlive them.
/// @throws DataError with `file`: not a zip archive, truncated, or packed in another way
std::map<std::string, ZipEntry> zip_entries(std::string_view bytes, const std::string& file);

/// Returns the content of an entry. @throws DataError if it is corrupt
std::string unzip(const ZipEntry& entry, const std::string& file, const std::string& name);

}  // namespace grapes::data
