#include "grapes/base/file.h"

#include "grapes/base/error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
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

/// Writes a new file beside `path` and flushes it to disk. @return its path
fs::path write_temporary(const fs::path& path, std::string_view content) {
  static std::atomic<unsigned> count = 0;
  std::error_code error;
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  fs::create_directories(parent, error);
  if (error) refuse("cannot make the folder", parent, error.value());
  const fs::path temporary = fmt::format("{}.{}-{}.part", path.string(), process_name(), ++count);
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
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
  std::error_code error;
  if (fs::is_directory(path, error)) throw DataError("cannot read " + path.string() + ": it is a folder");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) refuse("cannot read", path, errno ? errno : ENOENT);
  std::ostringstream content;
  content << in.rdbuf();
  if (in.bad()) refuse("cannot read", path, EIO);
  return std::move(content).str();
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
  const bool linked = ::link(temporary.c_str(), path.c_str()) == 0;
  const int reason = errno;
  ::unlink(temporary.c_str());
  if (!linked && reason != EEXIST) refuse("cannot write", path, reason);
  return linked;
}

const std::string& process_name() {
  static const std::string name = [] {
    char host[256] = "";
    ::gethostname(host, sizeof host - 1);
    return fmt::format("{}-{}-{:08x}", host, ::getpid(), std::random_device()());
  }();
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
