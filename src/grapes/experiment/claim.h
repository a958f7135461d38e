#pragma once

#include "grapes/experiment/worker.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace grapes::experiment {

/// The right of one worker to carry out one run of a study. Any number of processes on any number of hosts can choose
/// runs from the same folder. The claims on the run in the folder RUN are numbered, and the one with the largest number
/// is valid:
///     RUN.claims/N/worker    the id of the worker that made claim N
///     RUN.claims/N/ID/       the record of the run as long as the run has not ended, where ID is this worker's id
/// Claims need only two operations that are atomic on local disks and on NFS: making a folder, and renaming it.
///   1. Making the folder N succeeds for one worker. A worker makes it only after claim N-1 exists and the worker of
///      claim N-1 is gone (see Watch).
///   2. The new worker renames the record from the previous claim into its own. If the previous worker was only stopped
///      and wakes up, it writes to a path with its own id, which nobody reads.
///   3. To end a run, its worker also makes the folder N+1, so that no other worker can. Then it renames the record to
///      RUN, and renames RUN.claims in order to remove it.
/// So two workers never both carry out a run to its end, and the folder RUN holds a whole record or does not exist.
/// Watch decides only how soon another worker continues a run; it cannot change what is written.
class Claim final {
 public:
  /// Says why a worker cannot have a run.
  struct Refused {
    std::optional<record::Status> ended;  ///< the status of the run if it has ended; else another worker has the run
  };
  /// Tries to claim the run in the folder `run`.
  /// @param again  whether a run that failed may be tried again; otherwise it counts as ended
  /// @throws DataError if the folder cannot be written (the disk is full, read-only, ...)
  static std::variant<Refused, Claim> take(const std::filesystem::path& run, Worker& worker, bool again);

  /// Returns the folder for the record of the run. It contains the record that the previous worker left, if any.
  std::filesystem::path record() const { return folder(number_) / owner_; }
  /// Returns whether another worker has claimed the run since. Reads the disk at most once per heartbeat, unless
  /// `at_once` is set.
  bool lost(bool at_once = false);
  /// Moves the record of a run that has ended or failed to its place, and removes all claims on the run. If the claim
  /// is lost, removes what this worker has written after the loss.
  /// @return false if the claim is lost
  bool finish();

 private:
  Claim(std::filesystem::path run, const Worker& worker)
      : run_(std::move(run)), owner_(worker.id()), every_(worker.every()), looked_(std::chrono::steady_clock::now()) {}
  std::filesystem::path claims() const;
  std::filesystem::path folder(int number) const;
  bool make_folder();
  bool is_mine() const;
  bool take_record() const;
  bool close() const;
  void withdraw() const;
  void remove_claims() const;

  std::filesystem::path run_;
  std::string owner_;
  int number_ = 1;
  double every_;
  std::chrono::steady_clock::time_point looked_;
  bool lost_ = false;
};

/// Returns the status of the run in a folder if it has finished, diverged or failed.
std::optional<record::Status> ended(const std::filesystem::path& run);

/// Removes claims on ended runs in a folder of runs. There are some if a worker was killed while it removed them.
void remove_old_claims(const std::filesystem::path& folder);

}  // namespace grapes::experiment
