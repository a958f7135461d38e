#include "grapes/experiment/claim.h"

#include "grapes/base/file.h"
#include "grapes/record/record.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

/// Makes a folder. @return false if it exists. @throws DataError
bool make(const fs::path& folder) {
  std::error_code error;
  const bool made = fs::create_directory(folder, error);
  if (error && error != std::errc::file_exists)
    throw DataError("cannot claim a run: cannot make the folder " + folder.string() + ": " + error.message());
  return made && !error;
}

/// Writes a worker's name without waiting for the disk: after a crash of the host the worker is gone anyway.
void sign(const fs::path& file, const std::string& id) {
  const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool good = out >= 0 && ::write(out, id.data(), id.size()) == static_cast<ssize_t>(id.size());
  const int reason = errno;
  good = (out < 0 || ::close(out) == 0) && good;
  if (!good) throw DataError("cannot claim a run: cannot write " + file.string() + ": " + std::strerror(reason));
}

/// Returns the worker's id from the file `worker` of a claim, or "" if the worker has not written this file yet.
std::string signature(const fs::path& claim) {
  try {
    return read_file(claim / "worker");
  } catch (const DataError&) {
    return "";
  }
}

bool moved(const fs::path& from, const fs::path& to) { return ::rename(from.c_str(), to.c_str()) == 0; }

bool counts_as_ended(const fs::path& run, bool again) {
  const auto status = ended(run);
  return status && !(again && status->state == record::State::failed);
}

}  // namespace

std::optional<record::Status> ended(const fs::path& run) {
  if (!record::is_run(run)) return {};
  record::Status status = record::load_status(run);
  const bool over = status.state == record::State::finished || status.state == record::State::diverged ||
                    status.state == record::State::failed;
  return over ? std::optional(std::move(status)) : std::nullopt;
}

fs::path Claim::folder(int number) const { return run_.string() + record::claim_mark + std::to_string(number); }

std::variant<Claim::Refusal, Claim> Claim::take(const fs::path& run, Worker& worker, bool again) {
  if (counts_as_ended(run, again)) return Refusal::ended;
  std::error_code error;
  fs::create_directories(run.parent_path(), error);
  if (error)
    throw DataError("cannot claim a run: cannot make the folder " + run.parent_path().string() + ": " +
                    error.message());
  Claim claim(run, 1, worker.every());
  for (; !make(claim.folder(claim.number_)); ++claim.number_) {
    const fs::path theirs = claim.folder(claim.number_);
    if (fs::exists(claim.folder(claim.number_ + 1), error)) continue;
    const std::string owner = signature(theirs);
    if (owner.empty() ? !worker.abandoned(theirs) : !worker.gone(owner)) return Refusal::busy;
  }
  sign(claim.folder(claim.number_) / "worker", worker.id());
  // The order matters: a worker that ends the run meanwhile moves the record out of its claim to the run's place.
  if (!claim.take_record()) {
    if (counts_as_ended(run, again)) {
      claim.remove_claims(claim.number_);
      return Refusal::ended;
    }
    moved(run, claim.record());  // a run that failed, or that a process without claims has begun
  }
  for (fs::directory_iterator entry(claim.record(), error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".part") fs::remove(entry->path(), error);
  return claim;
}

bool Claim::take_record() const {
  for (int number = number_ - 1; number > 0; --number)
    if (moved(folder(number) / "record", record())) return true;
  return false;
}

bool Claim::lost(bool at_once) {
  const auto now = std::chrono::steady_clock::now();
  if (lost_ || (!at_once && std::chrono::duration<double>(now - looked_).count() < every_)) return lost_;
  looked_ = now;
  std::error_code error;
  // After the end of the run all claims are removed, but a late write may make the folder of this one again.
  return lost_ = fs::exists(folder(number_ + 1), error) || !fs::exists(folder(number_), error) || ended(run_);
}

bool Claim::finish() {
  std::error_code error;
  lost_ = lost_ || !make(folder(number_ + 1));
  if (lost_) {
    if (ended(run_)) fs::remove_all(folder(number_), error);  // this worker may have written it again since
    return false;
  }
  if (!moved(record(), run_)) {
    lost_ = ended(run_) || !fs::exists(record(), error);  // the next worker has moved it
    if (lost_) return false;
    fs::remove_all(run_, error);  // what a process that does not claim its runs has left
    if (!moved(record(), run_))
      throw DataError("cannot move " + record().string() + " to " + run_.string() + ": " + std::strerror(errno));
  }
  remove_claims(number_ + 1);
  return true;
}

void Claim::remove_claims(int last) const {
  std::error_code error;
  for (int number = 1; number <= last; ++number) fs::remove_all(folder(number), error);
}

}  // namespace grapes::experiment
