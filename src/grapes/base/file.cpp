#include "grapes/base/file.h"

#include "grapes/base/error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <system_error>
#include <vector>

namespace grapes {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse(const char* what, const fs::path& path, int error) {
  throw DataError(std::string(what) + " " + path.string() + ": " + std::strerror(error));
}

void write_all(int file, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) refuse("cannot write", path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Opens a new file for writing. Makes its folder, again if another process removes the empty folder meanwhile. The
/// limit is a time and not a number of attempts, because a process that waits for a processor core can lose many in a
/// row.
int open_new(const fs::path& file, const fs::path& folder) {
  using clock = std::chrono::steady_clock;
  const clock::time_point end = clock::now() + std::chrono::seconds(10);
  while (true) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) refuse("cannot make the folder", folder, error.value());
    const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (opened >= 0 || errno != ENOENT || clock::now() > end) return opened;
  }
}

/// Writes a new file beside `path` and flushes it to disk. @return its path
fs::path write_temporary(const fs::path& path, std::string_view content) {
  static std::atomic<unsigned> count = 0;
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path temporary = fmt::format("{}.{}-{}.part", path.string(), process_name(), ++count);
  const int file = open_new(temporary, parent);
  if (file < 0) refuse("cannot write", path, errno);
  try {
    write_all(file, content, path);
    if (::fsync(file) != 0) refuse("cannot write", path, errno);
  } catch (...) {
    ::close(file);
    ::unlink(temporary.c_str());
    throw;
  }
  if (::close(file) == 0) return temporary;
  const int reason = errno;
  ::unlink(temporary.c_str());
  refuse("cannot write", path, reason);
}

/// Gives a second name to a file. @return false if this name exists
bool link_file(const fs::path& from, const fs::path& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return true;
  const int reason = errno;
  // NFS repeats a request whose answer was lost, and then reports that its own link exists.
  struct stat file {};
  if (reason == EEXIST) return ::stat(from.c_str(), &file) == 0 && file.st_nlink == 2;
  const bool without_links = reason == EPERM || reason == EOPNOTSUPP || reason == ENOSYS;
  if (!without_links) refuse("cannot write", to, reason);
  const int claimed = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (claimed < 0 && errno == EEXIST) return false;
  if (claimed < 0 || ::close(claimed) != 0 || ::rename(from.c_str(), to.c_str()) != 0)
    refuse("cannot write", to, errno);
  return true;
}

class Digest {
 public:
  explicit Digest(const EVP_MD* kind = EVP_sha256()) : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), kind, nullptr);
  }
  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      text += "0123456789abcdef"[digest[i] >> 4];
      text += "0123456789abcdef"[digest[i] & 15];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string read_file(const fs::path& path) {
  std::optional<std::string> content = read_file_if_exists(path);
  if (!content) refuse("cannot read", path, ENOENT);
  return *std::move(content);
}

std::optional<std::string> read_file_if_exists(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && (errno == ENOENT || errno == ENOTDIR)) return {};
  if (file < 0) refuse("cannot read", path, errno);
  struct stat about {};
  std::string content;
  // One byte more than the file has, so that the second call finds its end. Files in /proc say that they are empty.
  if (::fstat(file, &about) == 0) content.resize(static_cast<std::size_t>(about.st_size) + 1);
  std::size_t size = 0;
  for (ssize_t n = 1; n != 0;) {
    if (size == content.size()) content.resize(2 * size + 4096);
    n = ::read(file, content.data() + size, content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      ::close(file);
      if (reason == EISDIR) throw DataError("cannot read " + path.string() + ": it is a folder");
      refuse("cannot read", path, reason);
    }
    size += static_cast<std::size_t>(n);
  }
  ::close(file);
  content.resize(size);
  return content;
}

void write_file(const fs::path& path, std::string_view content) {
  const fs::path temporary = write_temporary(path, content);
  if (::rename(temporary.c_str(), path.c_str()) == 0) return;
  const int reason = errno;
  ::unlink(temporary.c_str());
  refuse("cannot write", path, reason);
}

void write_file(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  std::ostringstream out;
  write(out);
  write_file(path, std::string_view(out.view()));
}

bool create_file(const fs::path& path, std::string_view content) {
  std::error_code error;
  if (fs::exists(path, error)) return false;
  const fs::path temporary = write_temporary(path, content);
  // A link is refused if its name exists, and the file appears with its whole content.
  try {
    const bool created = link_file(temporary, path);
    ::unlink(temporary.c_str());
    return created;
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

const std::string& host_name() {
  static const std::string name = [] {
    char host[256] = "";
    return ::gethostname(host, sizeof host - 1) == 0 ? std::string(host) : "unknown";
  }();
  return name;
}

const std::string& process_name() {
  static const std::string name = fmt::format("{}-{}-{:08x}", host_name(), ::getpid(), std::random_device()());
  return name;
}

void append_line(const fs::path& path, std::string_view line) { append_file(path, std::string(line) + "\n"); }

void append_file(const fs::path& path, std::string_view bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) refuse("cannot write", path, errno);
  try {
    write_all(file, bytes, path);
  } catch (...) {
    ::close(file);
    throw;
  }
  if (::close(file) != 0) refuse("cannot write", path, errno);
}

std::string sha256(std::string_view bytes) {
  Digest digest;
  digest.add(bytes);
  return digest.hex();
}

std::string md5(std::string_view bytes) {
  Digest digest(EVP_md5());
  digest.add(bytes);
  return digest.hex();
}

std::string sha256_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) refuse("cannot read", path, errno ? errno : ENOENT);
  Digest digest;
  std::vector<char> piece(1 << 20);
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0)
    digest.add({piece.data(), static_cast<std::size_t>(in.gcount())});
  return digest.hex();
}

}  // namespace grapes
