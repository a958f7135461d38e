#pragma once

#include "grapes/record/record.h"

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace grapes::experiment {

/// What a worker does, as its file says it.
struct Activity {
  std::string run;  ///< path of the run in the study: "arms/bp/seed-3"
  double epochs_done = 0, epochs = 0;
  double seconds = 0;  ///< since this worker began or resumed it
  double begun = 0;    ///< epochs that were done then
};

/// A worker as its file FOLDER/workers/ID.json shows it:
///     {"host", "pid", "boot", "start": of the process on its host, "beat": a counter, "every": seconds between beats,
///      "runs": [{"run", "epochs_done", "epochs", "seconds", "begun"}]}
struct Presence {
  std::string id, host;
  std::int64_t pid = 0;
  std::string boot;   ///< of the machine and the namespace of its processes, where `pid` has a meaning
  std::string start;  ///< when the process started, in the clock of its machine
  std::int64_t beat = 0;
  double every = 0;
  std::vector<Activity> runs;
};

/// Tells which workers are gone, from their files alone. Clocks of two hosts are never compared: a worker is gone if
/// its file is missing, if its process has ended on this host, or if this object has seen the same beat for `patience`
/// beats of its own clock.
class Watch final {
 public:
  static constexpr int patience = 6;

  explicit Watch(const std::filesystem::path& study) : folder_(study / "workers") {}
  /// Returns whether the worker is gone.
  bool silent(const std::string& id);
  /// The same. The file of a worker that is gone is removed, so that all others know.
  bool gone(const std::string& id);
  /// Returns whether this object has seen a claim that nobody signed for `patience` times `every` seconds.
  bool abandoned(const std::filesystem::path& claim, double every);
  /// Returns the workers that have a file, sorted by name.
  std::vector<Presence> present() const;

 private:
  using Clock = std::chrono::steady_clock;
  bool unchanged(const std::string& what, std::int64_t beat, double seconds, Clock::time_point when);

  std::filesystem::path folder_;
  std::map<std::string, std::pair<std::int64_t, Clock::time_point>> seen_;
};

/// Whether workers have begun a study in this folder and not completed it.
bool has_workers(const std::filesystem::path& study);

/// This process as one of those that work on a study in a shared folder. Its file is there from the construction to the
/// destruction, and a thread counts its beat up. The folder `workers` stays until the study is complete. A worker whose
/// file was removed, because it was stopped or cut off for long, writes it again at its next beat; the claims that
/// others have taken over stay theirs.
class Worker final {
 public:
  /// @param every  seconds between two beats
  /// @throws DataError if the folder cannot be written
  Worker(std::filesystem::path study, double every);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  const std::string& id() const { return self_.id; }
  double every() const { return self_.every; }
  const std::filesystem::path& study() const { return study_; }
  bool gone(const std::string& id);
  bool abandoned(const std::filesystem::path& claim);
  /// Says what a run of this worker has done.
  void tell(const Activity& activity);
  void end(const std::string& run);
  /// Removes the files that processes which are gone have left half written in a folder.
  void clean(const std::filesystem::path& folder) const;
  /// Says that the study is complete: the last worker that leaves removes the folder `workers`.
  void complete() { complete_ = true; }

 private:
  void write() const;

  const std::filesystem::path study_;
  mutable std::mutex mutex_;  ///< protects the members below, except the name and the numbers of `self_`
  Watch watch_;
  Presence self_;
  bool leaving_ = false, complete_ = false;
  std::condition_variable leave_;
  std::thread thread_;
};

}  // namespace grapes::experiment
