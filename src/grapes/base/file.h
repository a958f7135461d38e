#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

namespace grapes {

/// Returns the whole file as bytes. @throws DataError with the file's name if it is missing, a folder or unreadable
std::string read_file(const std::filesystem::path& path);
/// The same, or nothing if the file does not exist. @throws DataError for any other reason
std::optional<std::string> read_file_if_exists(const std::filesystem::path& path);

/// Replaces `path` by `content`. Readers see the old file or the new one, never a part: the content is written to a
/// temporary file in the same folder, flushed to disk and renamed. Missing parent folders are created. If it fails, the
/// temporary file is removed.
/// @throws DataError with the file's name and the reason (no space left, no permission, ...)
void write_file(const std::filesystem::path& path, std::string_view content);

/// The same for content that `write` writes to a stream.
void write_file(const std::filesystem::path& path, const std::function<void(std::ostream&)>& write);

/// Writes a file that does not exist yet. Of several processes and hosts that create it at once, one succeeds, and
/// readers see no file or the whole one. On a file system without hard links, readers may also see an empty file for a
/// moment, and it stays empty if the process is killed in this moment.
/// @return whether this call created it. @throws DataError as write_file()
bool create_file(const std::filesystem::path& path, std::string_view content);

/// Returns the name of this host, like "node7".
const std::string& host_name();
/// Returns a name of this process that no other process on any host has or will have: "host-1234-9f86d081". The names
/// of the temporary files of write_file() contain it.
const std::string& process_name();

/// Appends bytes, or one line, and flushes them. @throws DataError
void append_file(const std::filesystem::path& path, std::string_view bytes);
void append_line(const std::filesystem::path& path, std::string_view line);

/// Returns the SHA-256 of the bytes as 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);
/// Returns the MD5 as 32 lower-case hexadecimal digits, to compare with published ones. It finds damage, not intent.
std::string md5(std::string_view bytes);
/// Returns the SHA-256 of a file, which is read in pieces. @throws DataError
std::string sha256_file(const std::filesystem::path& path);

}  // namespace grapes
