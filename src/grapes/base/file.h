#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

namespace grapes {

/// The whole file as bytes. @throws DataError that names the file, if it is missing, a folder or unreadable
std::string read_file(const std::filesystem::path& path);

/// Replace `path` by `content` so that a reader sees the old file or the new one, never a half: a temporary file in the
/// same folder, flushed to the disk, renamed. Makes missing parent folders. On failure the temporary file is removed.
/// @throws DataError that names the file and the reason (no space left, no permission, ...)
void write_file(const std::filesystem::path& path, std::string_view content);

/// The same for content that is written piece by piece: `write` fills the stream.
void write_file(const std::filesystem::path& path, const std::function<void(std::ostream&)>& write);

/// Add bytes, or one line, at the end and flush them. @throws DataError
void append_file(const std::filesystem::path& path, std::string_view bytes);
void append_line(const std::filesystem::path& path, std::string_view line);

/// SHA-256 of the bytes, as 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);
/// SHA-256 of a file, read in pieces. @throws DataError
std::string sha256_file(const std::filesystem::path& path);

}  // namespace grapes
