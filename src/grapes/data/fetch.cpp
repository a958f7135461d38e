#include "grapes/data/fetch.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/data/download.h"
#include "grapes/data/source.h"
#include "grapes/data/unpack.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

bool is_right(const fs::path& folder, const SourceFile& file) {
  const std::optional<fs::path> path = file_in(folder, file);
  if (!path) return false;
  try {
    return sha256(read_unpacked(*path)) == file.unpacked_sha256;
  } catch (const DataError&) {
    return false;  // a corrupt file is downloaded again
  }
}

/// Returns the downloads to try. GRAPES_MIRROR, a folder with one folder per source, replaces the table's mirrors.
std::vector<Download> ways_to(const Source& source, const SourceFile& file, const fs::path& folder) {
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

/// @throws DataError with the answer of each mirror
void download_any(const std::string& name, const std::vector<Download>& ways, const Progress& progress) {
  std::vector<std::string> reasons;
  for (const Download& way : ways) {
    try {
      return download(way, progress);
    } catch (const DataError& error) {
      reasons.emplace_back(error.what());
    }
  }
  throw DataError(fmt::format("cannot fetch {}: {}", name, fmt::join(reasons, "; ")));
}

}  // namespace

std::string fetch(const std::string& name, const Progress& progress) {
  const Source& source = find_row(sources(), "data set", name);
  if (source.files.empty()) throw UsageError(name + " is embedded in the program: there is nothing to fetch");
  if (source.mirrors.empty()) throw DataError(name + " cannot be fetched: " + source.advice);
  const fs::path folder = cache_folder(source);
  for (const SourceFile& file : source.files)
    if (!is_right(folder, file)) download_any(name, ways_to(source, file, folder), progress);
  return folder.string();
}

Found find(const std::string& name, const std::string& data_dir) {
  const Source& source = find_row(sources(), "data set", name);
  if (source.files.empty()) return {true, "embedded"};
  try {
    const std::optional<fs::path> folder = locate(source, data_dir);
    return {folder.has_value(), folder.value_or("").string()};
  } catch (const DataError& error) {
    return {false, error.what()};
  }
}

bool verify(const std::string& name, const std::string& data_dir, const std::function<void(const std::string&)>& line) {
  const Source& wanted = find_row(sources(), "data set", name);
  if (wanted.files.empty()) {
    line(wanted.name + ": embedded in the program");
    return true;
  }
  const std::optional<fs::path> folder = locate(wanted, data_dir);
  if (!folder) {
    line(wanted.name + ": not found");
    return false;
  }
  bool right = true;
  for (const SourceFile& file : wanted.files) {
    const fs::path path = file_in(*folder, file).value();
    if (fs::is_directory(path)) {
      line(path.string() + ": a folder; its SHA-256 is unknown to Grapes");
      continue;
    }
    try {
      const std::string found = sha256(read_unpacked(path));
      const bool same = found == file.unpacked_sha256;
      line(path.string() + (file.unpacked_sha256.empty() ? ": its SHA-256 is unknown to Grapes; found " + found
                            : same                       ? ": correct"
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
