#include "grapes/experiment/claim.h"

#include "grapes/base/file.h"
#include "grapes/record/record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

/// Makes a folder. @return 0 or the reason why not, as in errno
int make(const fs::path& folder) { return ::mkdir(folder.c_str(), 0777) == 0 ? 0 : errno; }

[[noreturn]] void refuse_claim(const std::string& what, const fs::path& path, int reason) {
  throw DataError("cannot claim a run: cannot " + what + " " + path.string() + ": " + std::strerror(reason));
}

/// Writes a worker's id to its claim. It does not wait for the disk, because after a crash of the host the worker is
/// gone anyway. @return false if the claim was removed meanwhile. @throws DataError
bool sign(const fs::path& claim, const std::string& id) {
  const fs::path file = claim / "worker";
  const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool good = out >= 0 && ::write(out, id.data(), id.size()) == static_cast<ssize_t>(id.size());
  const int reason = errno;
  good = (out < 0 || ::close(out) == 0) && good;
  if (!good && reason != ENOENT) refuse_claim("write", file, reason);
  return good;
}

/// Returns the id of the worker that made a claim; "" if it has not written its id yet. @throws DataError
std::string signature(const fs::path& claim) { return read_file_if_exists(claim / "worker").value_or(""); }

bool moved(const fs::path& from, const fs::path& to) { return ::rename(from.c_str(), to.c_str()) == 0; }

/// Returns the status of a run that no worker may claim because it has ended.
std::optional<record::Status> closed(const fs::path& run, bool again) {
  auto status = ended(run);
  if (status && again && status->state == record::State::failed) return {};
  return status;
}

/// Returns whether the worker of a claim is gone. If the claim cannot be read, which may be an error of the network
/// that passes, the worker counts as present.
bool is_abandoned(const fs::path& claim, Worker& worker) {
  try {
    const std::string owner = signature(claim);
    return owner.empty() ? worker.abandoned(claim) : worker.gone(owner);
  } catch (const DataError&) {
    return false;
  }
}

/// Removes files that a worker did not finish writing, in a record and in its folder of checkpoints.
void remove_parts(const fs::path& record) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(record, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".part") fs::remove(entry->path(), error);
}

}  // namespace

std::optional<record::Status> ended(const fs::path& run) {
  if (!record::is_run(run)) return {};
  record::Status status = record::load_status(run);
  const bool over = status.state == record::State::finished || status.state == record::State::diverged ||
                    status.state == record::State::failed;
  return over ? std::optional(std::move(status)) : std::nullopt;
}

void remove_old_claims(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    const auto mark = name.find(record::claim_mark);
    std::error_code ignored;
    if (mark != std::string::npos && ended(folder / name.substr(0, mark))) fs::remove_all(entry->path(), ignored);
  }
}

fs::path Claim::claims() const { return run_.string() + record::claim_mark; }

fs::path Claim::folder(int number) const { return claims() / std::to_string(number); }

/// Makes the folder of the claim with this number. @return false if it exists
bool Claim::make_folder() {
  for (bool first = true;; first = false) {
    const int reason = make(folder(number_));
    if (reason == 0 || reason == EEXIST) return reason == 0;
    // RUN.claims is missing at first, and when another worker has just removed it.
    if (reason != ENOENT) refuse_claim("make the folder", folder(number_), reason);
    std::error_code error;
    if (first) fs::create_directories(run_.parent_path(), error);
    if (error) refuse_claim("make the folder", run_.parent_path(), error.value());
    number_ = 1;
    if (const int why = make(claims()); why != 0 && why != EEXIST) refuse_claim("make the folder", claims(), why);
  }
}

std::variant<Claim::Refused, Claim> Claim::take(const fs::path& run, Worker& worker, bool again) {
  if (auto status = closed(run, again)) return Refused{std::move(status)};
  Claim claim(run, worker);
  std::error_code error;
  for (; !claim.make_folder(); ++claim.number_) {
    if (fs::exists(claim.folder(claim.number_ + 1), error)) continue;
    if (!is_abandoned(claim.folder(claim.number_), worker)) return Refused{};
  }
  if (!sign(claim.folder(claim.number_), claim.owner_)) return Refused{};
  // The order matters: a worker that ends the run meanwhile moves the record out of its claim to the run's place.
  if (!claim.take_record()) {
    if (auto status = closed(run, again)) {
      claim.remove_claims();
      return Refused{std::move(status)};
    }
    moved(run, claim.record());  // a run that failed, or that a process without claims has begun
  }
  remove_parts(claim.record());
  return claim;
}

/// Moves the record of the last worker that has left one into this claim. @return false if there is none
bool Claim::take_record() const {
  for (int number = number_ - 1; number > 0; --number)
    if (const std::string owner = signature(folder(number)); !owner.empty() && moved(folder(number) / owner, record()))
      return true;
  return false;
}

/// Returns whether the claim with this number is still that of this worker. After the end of the run, another worker
/// may have made a claim with the same number, because it tries a failed run again.
bool Claim::is_mine() const { return signature(folder(number_)) == owner_; }

bool Claim::lost(bool at_once) {
  const auto now = std::chrono::steady_clock::now();
  if (lost_ || (!at_once && std::chrono::duration<double>(now - looked_).count() < every_)) return lost_;
  looked_ = now;
  try {
    std::error_code error;
    lost_ = fs::exists(folder(number_ + 1), error) || !is_mine();
  } catch (const DataError&) {
    // An error of the network may pass. At the latest, finish() finds that the claim is lost.
  }
  return lost_;
}

bool Claim::finish() {
  lost_ = lost_ || !close();
  if (!lost_ && !moved(record(), run_)) {
    std::error_code error;
    lost_ = !fs::exists(record(), error);  // the next worker has moved it
    if (!lost_) {
      fs::remove_all(run_, error);  // what a process that does not claim its runs has left
      if (!moved(record(), run_))
        throw DataError("cannot move " + record().string() + " to " + run_.string() + ": " + std::strerror(errno));
    }
  }
  if (lost_)
    withdraw();
  else
    remove_claims();
  return !lost_;
}

/// Makes the next claim, so that no other worker can. @return false if this claim is lost
bool Claim::close() const {
  const fs::path next = folder(number_ + 1);
  const int reason = make(next);
  if (reason == EEXIST || reason == ENOENT) return false;
  if (reason != 0)
    throw DataError("cannot end a run: cannot make the folder " + next.string() + ": " + std::strerror(reason));
  if (is_mine()) return true;
  std::error_code error;
  fs::remove(next, error);  // so that it does not block the worker that has a claim with the same number as this one
  return false;
}

/// Leaves a lost claim, and removes what this worker has written after the loss.
void Claim::withdraw() const {
  std::error_code error;
  const fs::path late =
      record().string() + ".late";  // renamed first, so that nobody takes a record that is half removed
  if (moved(record(), late)) fs::remove_all(late, error);
  if (fs::exists(folder(number_ + 1), error)) return;
  if (is_mine()) fs::remove(folder(number_) / "worker", error);  // others can take a claim without a worker
  // A late write has made these folders again after the end of the run. They are not empty if others use them.
  fs::remove(folder(number_), error);
  fs::remove(claims(), error);
}

/// Removes all claims at once, so that a worker that tries the run again does not see some of them.
void Claim::remove_claims() const {
  const fs::path removed = claims().string() + "-" + owner_;
  std::error_code error;
  if (moved(claims(), removed)) fs::remove_all(removed, error);
}

}  // namespace grapes::experiment
