#pragma once

#include "grapes/data/download.h"

#include <functional>
#include <string>

namespace grapes::data {

/// Where a source's files were found, for `grapes data list`.
struct Found {
  bool complete = false;
  std::string where;  ///< folder, "embedded", a problem with the files that were found, or "" if none were found
};
Found find(const std::string& source, const std::string& data_dir);

/// Downloads a source into the user's cache (XDG_CACHE_HOME/grapes/data/NAME). It resumes, checks SHA-256 and reports
/// progress. GRAPES_MIRROR, a folder with one folder per source, replaces the mirrors of the table.
/// @return the folder
/// @throws DataError with the answer of each mirror; UsageError for a source without files
std::string fetch(const std::string& source, const Progress& progress);

/// Compares the files of a source with the SHA-256 in the table, and passes one line per file to `line`.
/// @return false if any differs or is missing
bool verify(const std::string& source, const std::string& data_dir,
            const std::function<void(const std::string&)>& line);

}  // namespace grapes::data
