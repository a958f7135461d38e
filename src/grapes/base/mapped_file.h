#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string_view>

namespace grapes {

/// A file as memory: its pages are read when they are used, and the system may drop them again. Writing to them changes
/// a copy and not the file.
class MappedFile final {
 public:
  /// @throws DataError with the file's name if it is missing, a folder or unreadable
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return {static_cast<const char*>(begin_), size_}; }

 private:
  MappedFile(void* begin, std::size_t size) : begin_(begin), size_(size) {}
  void* begin_;
  std::size_t size_;
};

/// Tells the system that this part of a mapped file will be read soon. The system starts to read it and does not wait.
void read_ahead(std::string_view part);
/// Tells the system that a mapped file will be read in random order, so it reads no more than what is asked for.
void expect_random_reads(std::string_view file);

}  // namespace grapes
