#include "grapes/data/download.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/interrupt.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

/// The file NAME.part, locked by one process at a time.
class Partial {
 public:
  explicit Partial(const fs::path& destination) : path_(destination.string() + ".part") {
    fs::create_directories(destination.parent_path(), error_);
    file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file_ < 0) throw DataError("cannot write " + path_.string() + ": " + std::strerror(errno));
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
      ::close(file_);
      throw DataError(path_.string() + " is being written by another program");
    }
  }
  ~Partial() { ::close(file_); }
  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;

  std::uint64_t size() const {
    const off_t end = ::lseek(file_, 0, SEEK_END);
    return end < 0 ? 0 : static_cast<std::uint64_t>(end);
  }
  bool append(const char* bytes, std::size_t n) {
    while (n > 0) {
      const ssize_t written = ::write(file_, bytes, n);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        failure_ = errno;
        return false;
      }
      bytes += written;
      n -= static_cast<std::size_t>(written);
    }
    return true;
  }
  void clear() {
    if (::ftruncate(file_, 0) != 0) throw DataError("cannot empty " + path_.string() + ": " + std::strerror(errno));
  }
  void finish(const fs::path& destination) {
    if (::fsync(file_) != 0) throw DataError("cannot write " + path_.string() + ": " + std::strerror(errno));
    fs::rename(path_, destination, error_);
    if (error_) throw DataError("cannot write " + destination.string() + ": " + error_.message());
  }
  void remove() { fs::remove(path_, error_); }
  const fs::path& path() const { return path_; }
  int failure() const { return failure_; }

 private:
  fs::path path_;
  int file_ = -1;
  int failure_ = 0;
  std::error_code error_;
};

struct Transfer {
  const Download& what;
  const Progress& progress;
  Partial& partial;
  bool too_long = false;
};

std::size_t receive(char* bytes, std::size_t, std::size_t n, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (transfer.partial.size() + n > transfer.what.bytes) {
    transfer.too_long = true;
    return 0;
  }
  return transfer.partial.append(bytes, n) ? n : 0;
}

int report(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<Transfer*>(context);
  if (transfer.progress) {
    transfer.progress(transfer.what.destination.filename().string(), transfer.partial.size(), transfer.what.bytes);
  }
  return interrupt::pending();  // any value except 0 ends the transfer
}

struct Outcome {
  CURLcode code;
  std::string message;
};

/// Requests the missing bytes once.
Outcome request(Transfer& transfer) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  char message[CURL_ERROR_SIZE] = "";
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
  set(CURLOPT_URL, transfer.what.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, transfer.what.insecure ? "https,http" : "https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, transfer.what.insecure ? "https,http" : "https");
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_FAILONERROR, 1L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, 15L);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, 30L);
  set(CURLOPT_USERAGENT, "grapes");
  set(CURLOPT_ERRORBUFFER, message);
  set(CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(transfer.partial.size()));
  set(CURLOPT_WRITEFUNCTION, receive);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(CURLOPT_XFERINFOFUNCTION, report);
  set(CURLOPT_XFERINFODATA, static_cast<void*>(&transfer));
  set(CURLOPT_NOPROGRESS, 0L);
  const CURLcode code = curl_easy_perform(curl.get());
  return {code, *message ? message : curl_easy_strerror(code)};
}

/// Requests until all bytes are received, or a request makes no progress.
void complete(Transfer& transfer) {
  const Download& what = transfer.what;
  if (transfer.partial.size() > what.bytes) transfer.partial.clear();
  while (transfer.partial.size() < what.bytes) {
    const std::uint64_t before = transfer.partial.size();
    const Outcome outcome = request(transfer);
    const std::uint64_t after = transfer.partial.size();
    if (interrupt::pending()) {
      throw Interrupted("stopped while fetching " + what.url + "; the received bytes are kept in " +
                        transfer.partial.path().string());
    }
    if (transfer.partial.failure() != 0) {
      throw DataError(fmt::format("cannot write {}: {}", transfer.partial.path().string(),
                                  std::strerror(transfer.partial.failure())));
    }
    if (outcome.code == CURLE_RANGE_ERROR && before > 0) {  // the server does not support ranges
      transfer.partial.clear();
      continue;
    }
    if (transfer.too_long) {
      transfer.partial.remove();
      throw DataError(fmt::format("{}: longer than the expected {} bytes", what.url, what.bytes));
    }
    if (outcome.code == CURLE_OK && after < what.bytes) {
      transfer.partial.remove();
      throw DataError(fmt::format("{}: {} bytes, expected {}", what.url, after, what.bytes));
    }
    if (outcome.code != CURLE_OK && after == before) {
      throw DataError(fmt::format("{}: {} (received {} of {} bytes)", what.url, outcome.message, after, what.bytes));
    }
  }
}

}  // namespace

void download(const Download& what, const Progress& progress) {
  Partial partial(what.destination);
  Transfer transfer{what, progress, partial};
  complete(transfer);
  const std::string found = sha256_file(partial.path());
  if (found != what.sha256) {
    partial.remove();  // resuming from wrong bytes could never succeed
    throw DataError(what.url + ": SHA-256 " + found + ", expected " + what.sha256);
  }
  partial.finish(what.destination);
}

}  // namespace grapes::data
