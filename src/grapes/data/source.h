#pragma once

#include "grapes/data/collection.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace grapes::data {

/// One file of a source; as .gz, as .xz or unpacked it is equally good.
struct SourceFile {
  std::string name{};             ///< unpacked
  std::uint64_t bytes = 0;        ///< of the .gz on the mirrors
  std::string packed_sha256{};    ///< of the .gz on the mirrors; "" where there are none
  std::string unpacked_sha256{};  ///< however it was packed; "" where it is not known
};

/// A row of the table of named sources.
struct Source {
  std::string name{};
  std::string summary{};  ///< one line
  std::vector<std::string> classes{};
  std::vector<SourceFile> files{};     ///< in the order in which its reader numbers them; none: it needs no file
  std::vector<std::string> mirrors{};  ///< folders to download from, HTTPS
  /// How its files are read. Name, fingerprint and what is known of their bytes are added by read_source().
  Collection (*read)(const SourceFiles& files) = nullptr;
  std::string advice{};  ///< how a person gets the files, where there is nothing to download from
};

const std::vector<Source>& sources();

/// The folders where a source is looked for, in this order: `data_dir` and GRAPES_DATA (each: DIR/NAME, DIR itself),
/// Debian's data sets, the user's cache.
std::vector<std::filesystem::path> search_path(const Source& source, const std::string& data_dir);
/// XDG_CACHE_HOME/grapes/data/NAME, or the same under ~/.cache. @throws DataError if neither variable is set
std::filesystem::path cache_folder(const Source& source);

/// The file in `folder`, as .gz, unpacked or as .xz, or nothing.
std::optional<std::filesystem::path> file_in(const std::filesystem::path& folder, const SourceFile& file);
/// The first folder of the search path with all files of the source, "" for a source without files.
/// @throws DataError if a folder, other than the cache, has some of the files but not all, or if `data_dir` is no
/// folder
std::optional<std::filesystem::path> locate(const Source& source, const std::string& data_dir);

/// Read a source from its folder.
/// @throws DataError for a file that cannot be what it should be, or whose bytes are known to be of another source
Collection read_source(const Source& source, const std::filesystem::path& folder, const EventOptions& events);

}  // namespace grapes::data
