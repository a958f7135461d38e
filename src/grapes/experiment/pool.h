#pragma once

#include "grapes/experiment/run.h"
#include "grapes/experiment/worker.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace grapes::experiment {

/// Progress of the runs of one kind, such as all that choose learning rates.
struct Stage {
  std::string what;  ///< "tuning", "comparing"
  std::int64_t runs_done = 0, runs = 0;
  double epochs_done = 0, epochs = 0;  ///< over all runs of this stage
  std::string last;                    ///< of the run that ended last: "grapes, seed 3: accuracy 0.8841"
};
using Overview = std::function<void(const Stage&)>;  ///< called from one thread at a time

/// One run of a study. All runs of a study use the same data.
struct Job {
  std::string what;  ///< its Stage::what
  std::string name;  ///< in messages: "grapes, seed 3"
  Config config;
  std::filesystem::path folder = {};
  bool checkpoints = true;
  bool tests = true;                    ///< whether the run has the test examples
  std::size_t number = 0;               ///< in the study; the same before and after the learning rates are chosen
  std::vector<std::size_t> after = {};  ///< indices of the jobs that must have finished or diverged before this one
  /// Called when they have, before the run begins. Sets the part of this job that depends on their results.
  std::function<void(Job&)> settle = {};
  bool needed = true;  ///< false if settle() finds that there is nothing to run; the job then counts as finished
};

/// Which runs of a study this process carries out: the value of --shard.
struct Shard {
  /// - all: all runs; no other process works on the study
  /// - claimed: the runs that this process claims (claim.h); any number of other processes do the same
  /// - part: every `parts`-th run, without claims; other processes have the other parts
  enum class Kind { all, claimed, part } kind = Kind::all;
  std::int64_t part = 1, parts = 1;  ///< a job belongs to part number % parts + 1
  double heartbeat = 10;             ///< seconds between two beats of a worker that claims runs

  bool has(const Job& job) const {
    return kind != Kind::part || static_cast<std::int64_t>(job.number) % parts == part - 1;
  }
};
/// Parses "" (all), "auto" (claimed) or "3/8" (a part). @throws UsageError
Shard parse_shard(const std::string& text);

/// Carries out jobs in their order, `threads` of them at a time, each with config.threads threads. If the folder of a
/// job has a run that has finished or diverged, this run is kept. If it has a checkpoint, the run is resumed. Any other
/// run starts again. After a signal no job begins, and the jobs that are running write their checkpoints and stop.
/// @param worker    the worker of this process for Shard::Kind::claimed, which then also waits for the runs of others;
///                  else null
/// @param overview  called with a Stage when it changes; or empty
/// @return a status for each job; `running` if the job has not ended in this or another process
/// @throws the exception of the first run that failed, after the other runs of this process have stopped
std::vector<record::Status> run_all(std::vector<Job>& jobs, const data::Splits& splits, std::int64_t threads,
                                    const Shard& shard, Worker* worker, const Overview& overview);

}  // namespace grapes::experiment
