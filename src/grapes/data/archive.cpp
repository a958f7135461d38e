#include "grapes/data/archive.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/data/folder.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

bool is_archive(const fs::path& path) {
  constexpr std::array endings = {".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".7z"};
  const std::string name = path.filename().string();
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

/// An archive that is read from its beginning to its end.
class ArchiveReader {
 public:
  explicit ArchiveReader(const fs::path& path) : ArchiveReader(path.string(), deepest) {
    constexpr std::size_t piece = 1 << 16;
    check(archive_read_open_filename(archive_.get(), path_.c_str(), piece));
  }

  void visit(const std::function<void(const StoredFile&)>& visit) {
    archive_entry* entry = nullptr;
    for (int status = next(&entry); status != ARCHIVE_EOF; status = next(&entry)) {
      const char* name = archive_entry_pathname(entry);
      if (!name) throw DataError(path_ + ": an entry of the archive has no name");
      const fs::path path = checked(name);
      if (archive_entry_filetype(entry) != AE_IFREG) continue;
      if (is_archive(path) && levels_ > 0)
        ArchiveReader(fmt::format("{}: {}", path_, path.string()), content(), levels_ - 1).visit(visit);
      else
        visit({path_, path, [this] { return content(); }});
    }
  }

 private:
  static constexpr int deepest = 2;  // archives in an archive in an archive; a bound for those that contain themselves

  ArchiveReader(std::string path, int levels)
      : path_(std::move(path)), levels_(levels), archive_(archive_read_new(), archive_read_free) {
    archive_read_support_filter_all(archive_.get());
    archive_read_support_format_all(archive_.get());
  }
  ArchiveReader(std::string path, std::string bytes, int levels) : ArchiveReader(std::move(path), levels) {
    bytes_ = std::move(bytes);
    check(archive_read_open_memory(archive_.get(), bytes_.data(), bytes_.size()));
  }

  int next(archive_entry** entry) {
    const int status = archive_read_next_header(archive_.get(), entry);
    check(status);
    return status;
  }
  void check(int status) const {
    if (status == ARCHIVE_OK || status == ARCHIVE_EOF || status == ARCHIVE_WARN) return;
    const char* reason = archive_error_string(archive_.get());
    throw DataError(
        fmt::format("{}: the archive is damaged ({})", path_, reason ? reason : "libarchive gives no reason"));
  }

  fs::path checked(const fs::path& path) const {
    if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end())
      throw DataError(fmt::format("{}: the archive's entry '{}' would lie outside the folder that it is unpacked in",
                                  path_, path.string()));
    return path.lexically_normal();
  }

  std::string content() const {
    std::string bytes, piece(1 << 20, '\0');
    for (;;) {
      const la_ssize_t count = archive_read_data(archive_.get(), piece.data(), piece.size());
      if (count < 0) check(static_cast<int>(count));
      if (count <= 0) return bytes;
      bytes.append(piece, 0, static_cast<std::size_t>(count));
    }
  }

  const std::string path_;
  const int levels_;
  std::string bytes_;  // of an archive in another; libarchive reads from it
  const std::unique_ptr<archive, decltype(&archive_read_free)> archive_;
};

void visit_from(const fs::path& from, const fs::path& name, const std::function<void(const StoredFile&)>& visit) {
  if (fs::is_directory(from)) {
    for (const fs::path& entry : sorted_entries(from)) visit_from(entry, name / entry.filename(), visit);
  } else if (is_archive(from)) {
    ArchiveReader(from).visit(visit);
  } else {
    visit({from.string(), name, [&] { return read_file(from); }});
  }
}

}  // namespace

void visit_files(const fs::path& from, const std::function<void(const StoredFile&)>& visit) {
  std::error_code error;
  if (!fs::exists(from, error)) throw DataError(from.string() + ": no such file or folder");
  visit_from(from, fs::canonical(from).filename(), visit);
}

}  // namespace grapes::data
