#pragma once

#include <filesystem>
#include <string>
#include <string_view>

/// Files that processes on several hosts share.
namespace grapes {

/// Returns a name of this process that no other process on any host has or will have: "host-1234-9f86d081". The names
/// of the temporary files of write_file() contain it.
const std::string& process_name();

/// Writes a file that does not exist yet. Of several processes and hosts that create it at once, one succeeds, and
/// readers see no file or the whole one.
/// @return whether this call created it. @throws DataError as write_file()
bool create_file(const std::filesystem::path& path, std::string_view content);

}  // namespace grapes
