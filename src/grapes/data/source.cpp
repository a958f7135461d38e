#include "grapes/data/source.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/data/open.h"
#include "grapes/data/unpack.h"

#include <fmt/format.h>

#include <cstdlib>
#include <system_error>
#include <utility>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Other names of a file, for messages.
constexpr const char* packings = " (or .gz, .xz)";

/// Returns the file in its folder. @throws DataError if it is missing
fs::path present(const fs::path& folder, const SourceFile& file) {
  if (const std::optional<fs::path> path = file_in(folder, file)) return *path;
  throw DataError(folder.string() + ": " + file.name + packings + " is missing");
}

/// @throws DataError if these bytes are known as another source's file of that name
void refuse_foreign(const Source& source, std::size_t which, const std::string& sha256, const fs::path& path) {
  if (sha256 == source.files[which].unpacked_sha256) return;
  for (const Source& other : sources()) {
    if (which < other.files.size() && other.files[which].unpacked_sha256 == sha256) {
      throw DataError(path.string() + ": this file belongs to " + other.name + ", expected that of " + source.name);
    }
  }
}

Collection read_tables(const Source& source, const fs::path& folder, const Options& options, const DatasetInfo* known) {
  const TableOptions& usual = source.table->options;
  TableOptions table = options.table;
  table.dialect.names = usual.dialect.names;
  if (table.target.empty()) table.target = usual.target;
  if (table.ignore.empty()) table.ignore = usual.ignore;
  if (table.missing == Missing::error) table.missing = usual.missing;
  const TargetReading targets = options.targets == TargetReading::automatic && options.table.target.empty()
                                    ? source.table->targets
                                    : options.targets;
  Collection collection = read_table(present(folder, source.files[0]), table, targets, known);
  if (source.files.size() > 1) {
    const DatasetInfo trained = collection.train->info();
    const Collection test = read_table(present(folder, source.files[1]), table, targets, &trained);
    collection.test = test.train;
    collection.fingerprint = sha256(collection.fingerprint + test.fingerprint);
    for (const std::string& note : test.notes) collection.notes.push_back("test: " + note);
  }
  collection.name = source.name;
  return collection;
}

}  // namespace

fs::path cache_folder(const Source& source) {
  fs::path cache = variable("XDG_CACHE_HOME");
  if (cache.empty()) {
    const std::string home = variable("HOME");
    if (home.empty()) throw DataError("no cache folder for data: neither XDG_CACHE_HOME nor HOME is set");
    cache = fs::path(home) / ".cache";
  }
  return cache / "grapes" / "data" / source.name;
}

std::vector<fs::path> search_path(const Source& source, const std::string& data_dir) {
  std::vector<fs::path> folders;
  for (const fs::path folder : {data_dir, variable("GRAPES_DATA")}) {
    if (folder.empty()) continue;
    folders.push_back(folder / source.name);
    folders.push_back(folder);
  }
  folders.push_back(fs::path("/usr/share/datasets") / source.name);
  folders.push_back(cache_folder(source));
  return folders;
}

std::optional<fs::path> file_in(const fs::path& folder, const SourceFile& file) {
  std::error_code error;
  for (const fs::path& path : {folder / (file.name + ".gz"), folder / file.name, folder / (file.name + ".xz")}) {
    if (fs::exists(path, error)) return path;
  }
  return std::nullopt;
}

std::optional<fs::path> locate(const Source& source, const std::string& data_dir) {
  if (source.files.empty()) return fs::path();
  std::error_code error;
  if (!data_dir.empty() && !fs::is_directory(data_dir, error)) {
    throw DataError("data_dir", data_dir + ": no such folder");
  }
  for (const fs::path& folder : search_path(source, data_dir)) {
    std::vector<std::string> missing;
    for (const SourceFile& file : source.files) {
      if (!file_in(folder, file)) missing.push_back(file.name + packings);
    }
    if (missing.empty()) return folder;
    // Some files but not all, so the source was meant. In the cache it is an unfinished download.
    if (missing.size() < source.files.size() && folder != cache_folder(source)) {
      throw DataError(
          fmt::format("{}: {} is incomplete, missing: {}", folder.string(), source.name, fmt::join(missing, ", ")));
    }
  }
  return std::nullopt;
}

Collection read_source(const Source& source, const fs::path& folder, const Options& options, const DatasetInfo* known) {
  if (source.table) return read_tables(source, folder, options, known);
  std::string hashes;
  bool official = true;
  const auto read = [&](std::size_t number) {
    const SourceFile& file = source.files.at(number);
    const fs::path path = present(folder, file);
    UnpackedFile content = open_unpacked(path);
    const std::string hash = sha256(content.bytes);
    refuse_foreign(source, number, hash, path);
    official = official && (file.unpacked_sha256.empty() || hash == file.unpacked_sha256);
    hashes += hash;
    return content;
  };
  std::vector<std::string> names;
  for (const SourceFile& file : source.files) names.push_back(file.name);
  Collection collection = source.read({source.classes, names, folder, read, options.events, options.pictures});
  collection.name = source.name;
  if (!hashes.empty()) collection.fingerprint = sha256(hashes);
  if (!official) collection.notes.push_back("the files differ from the known files of " + source.name);
  return collection;
}

}  // namespace grapes::data
