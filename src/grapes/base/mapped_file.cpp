#include "grapes/base/mapped_file.h"

#include "grapes/base/error.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

namespace grapes {

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const auto refuse = [&](const char* why) { throw DataError("cannot read " + path.string() + ": " + why); };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) refuse(std::strerror(errno));
  struct stat status {};
  const bool known = ::fstat(file, &status) == 0;
  const bool folder = known && S_ISDIR(status.st_mode);
  const auto size = known ? static_cast<std::size_t>(status.st_size) : 0;
  void* const begin = folder || size == 0
                          ? nullptr
                          : ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
  const int error = errno;
  ::close(file);
  if (folder) refuse("it is a folder");
  if (begin == MAP_FAILED) refuse(std::strerror(error));
  return std::shared_ptr<const MappedFile>(new MappedFile(begin, begin == nullptr ? 0 : size));
}

namespace {

/// An advice is no more than that, so failures do not matter.
void advise(std::string_view part, int advice) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data());  // NOLINT: an address
  const std::uintptr_t from = begin / page * page;
  ::madvise(reinterpret_cast<void*>(from), begin + part.size() - from, advice);  // NOLINT
}

}  // namespace

void read_ahead(std::string_view part) { advise(part, MADV_WILLNEED); }
void expect_random_reads(std::string_view file) { advise(file, MADV_RANDOM); }

MappedFile::~MappedFile() {
  if (begin_ != nullptr) ::munmap(begin_, size_);
}

}  // namespace grapes
