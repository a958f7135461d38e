#pragma once

#include "grapes/experiment/worker.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <variant>

namespace grapes::experiment {

/// The right of one worker to carry out one run of a study, while any number of processes on any number of hosts choose
/// runs from the same folder. The n-th claim on the run in RUN is the folder
///     RUN.claim-N/worker     id of the worker that made it
///     RUN.claim-N/record/    the run, until it has ended; then it is renamed to RUN, and the claims are removed
/// The claim with the largest N holds. These steps are atomic on a local disk and on NFS, and carry the proof:
///   1. mkdir RUN.claim-N succeeds for one process. A process makes claim N only after claim N-1 exists and its worker
///   is
///      gone (Watch), so that claims follow each other, and none is removed before the run has ended.
///   2. The next worker renames the record from the last claim into its own. A worker that was only stopped, and wakes
///      up, still writes to its old path, where nobody reads.
///   3. To end a run, its worker makes claim N+1 too, so that nobody else can, and then renames the record to RUN.
/// A run is therefore never carried out to its end by two workers, and RUN holds a whole record or nothing. How soon
/// the next worker comes depends on Watch; what is written does not.
class Claim final {
 public:
  enum class Refusal { busy, ended };  ///< another worker has the run, or it has ended
  /// Tries to claim a run.
  /// @param again  whether a run that failed counts as ended (false) or is tried again (true)
  /// @throws DataError if the folder cannot be written: full, read-only, ...
  static std::variant<Refusal, Claim> take(const std::filesystem::path& run, Worker& worker, bool again);

  /// The folder for the record of the run. It has the record of the last worker, if there was one.
  std::filesystem::path record() const { return folder(number_) / "record"; }
  /// Returns whether another worker has claimed the run since. Looks at the disk once per beat, or now.
  bool lost(bool at_once = false);
  /// Moves the record of a run that has ended or failed to its place, and removes all claims.
  /// @return false if the claim is lost
  bool finish();

 private:
  Claim(std::filesystem::path run, int number, double every)
      : run_(std::move(run)), number_(number), every_(every), looked_(std::chrono::steady_clock::now()) {}
  std::filesystem::path folder(int number) const;
  bool take_record() const;
  void remove_claims(int last) const;

  std::filesystem::path run_;
  int number_;
  double every_;
  std::chrono::steady_clock::time_point looked_;
  bool lost_ = false;
};

/// Returns the status of the run in a folder if it has finished, diverged or failed.
std::optional<record::Status> ended(const std::filesystem::path& run);

}  // namespace grapes::experiment
