#pragma once

#include "grapes/data/collection.h"
#include "grapes/data/table.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace grapes::data {

/// A file of a source. It may be stored unpacked, as .gz or as .xz.
struct SourceFile {
  std::string name{};             ///< name without .gz or .xz
  std::uint64_t bytes = 0;        ///< of the .gz on the mirrors
  std::string packed_sha256{};    ///< of the .gz on the mirrors; "" without mirrors
  std::string unpacked_sha256{};  ///< of the unpacked file; "" if unknown
  std::string packed_md5{};       ///< of the .gz that its authors publish; "" if unknown
  bool folder = false;            ///< a folder of files
};

/// How a named source that is a table is read. The user's own options replace these.
struct NamedTable {
  TableOptions options;
  TargetReading targets = TargetReading::automatic;
};

/// A row of the table of named sources.
struct Source {
  std::string name{};
  std::string summary{};  ///< one line
  std::vector<std::string> classes{};
  std::vector<SourceFile> files{};  ///< in the order of their numbers for the reader; empty: the source needs no file
  std::vector<std::string> mirrors{};  ///< folders to download from, HTTPS
  /// Reads its files. read_source() adds the name and the fingerprint.
  Collection (*read)(const SourceFiles& files) = nullptr;
  /// Reads its files as tables instead: the training examples, and the test examples if there are two files.
  std::optional<NamedTable> table{};
  std::string matlab{};   ///< MATLAB file of its authors with the same images and labels, which `data get --from` takes
  bool pictures = false;  ///< reads files of pictures, so PictureOptions apply to it
  std::string advice{};   ///< how to get the files by hand, if there are no mirrors
};

struct Options;

const std::vector<Source>& sources();

/// Returns the folders to search for a source, in order: `data_dir` and GRAPES_DATA (DIR/NAME and DIR itself), Debian's
/// data sets, the user's cache.
std::vector<std::filesystem::path> search_path(const Source& source, const std::string& data_dir);
/// Returns XDG_CACHE_HOME/grapes/data/NAME, or the same in ~/.cache. @throws DataError if neither variable is set
std::filesystem::path cache_folder(const Source& source);

/// Returns the file in `folder`, as .gz, unpacked or as .xz, or nothing.
std::optional<std::filesystem::path> file_in(const std::filesystem::path& folder, const SourceFile& file);
/// Returns the first folder of the search path with all files of the source; "" for a source without files.
/// @throws DataError if a folder other than the cache has only some of the files, or if `data_dir` is not a folder
std::optional<std::filesystem::path> locate(const Source& source, const std::string& data_dir);

/// Reads a source from its folder.
/// @param known  what a trained model expects of a table, or null
/// @throws DataError for an invalid file, or a file that is known to belong to another source
Collection read_source(const Source& source, const std::filesystem::path& folder, const Options& options,
                       const DatasetInfo* known);

}  // namespace grapes::data
