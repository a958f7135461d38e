#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace grapes::data {

/// A file in a folder or an archive.
struct StoredFile {
  std::string origin;                 ///< the file or archive that it comes from, for messages
  std::filesystem::path path;         ///< in the archive, or beginning with the folder's name; without ".."
  std::function<std::string()> read;  ///< valid during the visit only. @throws DataError
};

/// Visits all files: of a folder and the folders in it, with what is in their archives (zip, tar, also compressed, 7z);
/// of one archive; or one file. Archives in an archive are opened too, two levels deep. Files that are only compressed
/// (.gz, .xz) are visited as they are.
/// @throws DataError for a damaged archive, or for an entry that would lie outside the folder it is unpacked in
void visit_files(const std::filesystem::path& from, const std::function<void(const StoredFile&)>& visit);

}  // namespace grapes::data
