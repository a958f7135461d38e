#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace grapes::data {

/// What `take` did.
struct Taken {
  std::filesystem::path folder;    ///< of the source in the user's cache
  std::vector<std::string> notes;  ///< remarks for people
};

/// Takes the files of a named source from where somebody downloaded them, and puts them into the user's cache.
/// @param from  a folder, an archive or a file, as the source's authors publish it
/// @throws UsageError for a source without files; DataError if files are missing, damaged, or of another source
Taken take(const std::string& source, const std::filesystem::path& from);

}  // namespace grapes::data
