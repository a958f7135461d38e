#pragma once

#include "grapes/record/record.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace grapes::experiment {

/// How far a worker is with one of its runs.
struct Activity {
  std::string run;  ///< path of the run in the study: "arms/bp/seed-3"
  double epochs_done = 0, epochs = 0;
  double seconds = 0;  ///< since this worker began or resumed the run
  double begun = 0;    ///< number of epochs that were done at that time
};

/// The content of a worker's file, STUDY/workers/ID.json:
///     {"host", "pid", "boot", "start", "beat", "every", "runs": [{"run", "epochs_done", "epochs", "seconds",
///     "begun"}]}
struct Presence {
  std::string id, host;
  std::int64_t pid = 0;
  std::string boot;       ///< names the machine since its last start and its namespace of processes; "" if unknown
  std::string start;      ///< when the process started, in ticks of its machine; "" if unknown
  std::int64_t beat = 0;  ///< increases while the process works
  double every = 0;       ///< seconds between two beats
  std::vector<Activity> runs;
};

/// Tells which workers are gone, from the files of the study alone. A worker is gone
///   - if it has no file, because it has left or another worker has found that it is gone;
///   - if it was a process of this host that has ended;
///   - if this object has seen the same beat of the worker for `patience` beats.
/// The last rule measures time with the clock of this process only. The clocks of two hosts are never compared.
class Watch final {
 public:
  static constexpr int patience = 6;

  /// @param every  seconds between two beats of a worker whose file cannot be understood
  explicit Watch(std::filesystem::path study, double every = 10) : study_(std::move(study)), every_(every) {}
  /// Returns whether the worker is gone. Reads only.
  bool silent(const std::string& id);
  /// Returns whether the worker is gone. If so, removes its file, so that all others know, and what it had not finished
  /// writing in the folder of the study and the folders in it.
  bool gone(const std::string& id);
  /// Returns whether this object has seen a claim without a worker for `patience` times `every` seconds.
  bool abandoned(const std::filesystem::path& claim);
  /// Returns the ids of the workers that have a file, sorted.
  std::vector<std::string> ids() const;
  /// Returns the workers whose file can be understood, sorted by id.
  std::vector<Presence> present() const;

 private:
  using Clock = std::chrono::steady_clock;
  std::filesystem::path file_of(const std::string& id) const;
  bool unchanged(const std::string& what, std::int64_t value, double seconds, Clock::time_point when);

  std::filesystem::path study_;
  double every_;
  struct Seen {
    std::int64_t value = 0;
    Clock::time_point first;  ///< when this value was seen for the first time
  };
  std::map<std::string, Seen> seen_;  ///< beats of workers, by id; times of claims without a worker, by path
};

/// Returns whether workers have begun the study in this folder and not completed it.
bool has_workers(const std::filesystem::path& study);

/// This process as a worker, one of those that work on a study in a shared folder. The file of the worker exists from
/// its construction to its destruction, and a thread increases the beat in this file. If another worker has removed the
/// file, because this process was stopped or had no network for long, the thread writes it again. Runs that other
/// workers have taken meanwhile stay theirs.
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
  /// See Watch. This worker is never gone.
  bool gone(const std::string& id);
  bool abandoned(const std::filesystem::path& claim);
  /// Records how far a run of this worker is. The next beat writes it to the file.
  void tell(const Activity& activity);
  /// Records that this worker does not work on a run any more.
  void end(const std::string& run);
  /// Records that all runs of the study have ended. Then the last worker that leaves removes the folder `workers`.
  void complete() { complete_ = true; }

 private:
  void write(const Presence& self) const;

  const std::filesystem::path study_;
  std::mutex watching_;  ///< protects `watch_`
  Watch watch_;
  std::mutex mutex_;  ///< protects the members below, except those of `self_` that never change
  Presence self_;
  bool leaving_ = false;
  std::atomic<bool> complete_ = false;
  std::condition_variable leave_;
  std::thread thread_;
};

}  // namespace grapes::experiment
