#pragma once

#include "grapes/data/download.h"

#include <functional>
#include <string>

namespace grapes::data {

/// What is known of where a source's files are: `grapes data list`.
struct Found {
  bool complete = false;
  std::string where;  ///< folder, "embedded", what is wrong with what was found, or "" if nothing was
};
Found find(const std::string& source, const std::string& data_dir);

/// Fetch a source into the user's cache (XDG_CACHE_HOME/grapes/data/NAME): resumable, SHA-256 checked, progress told.
/// GRAPES_MIRROR, a folder with one folder per source, goes instead of the mirrors of the table.
/// @return the folder
/// @throws DataError with what every mirror answered; UsageError for a source that needs no files
std::string fetch(const std::string& source, const Progress& progress);

/// Compare the files of a source, where they are found, with the SHA-256 in the table; a line per file.
/// @return false if any differs or is missing
bool verify(const std::string& source, const std::string& data_dir,
            const std::function<void(const std::string&)>& line);

}  // namespace grapes::data
