#pragma once

#include "grapes/experiment/run.h"
#include "grapes/experiment/worker.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace grapes::experiment {

/// Progress of many runs.
struct Stage {
  std::string what;  ///< "tuning", "comparing"
  std::int64_t runs_done = 0, runs = 0;
  double epochs_done = 0, epochs = 0;  ///< over all runs of this stage
  std::string last;                    ///< of the run that ended last: "grapes, seed 3: accuracy 0.8841"
};
using Overview = std::function<void(const Stage&)>;  ///< called from one thread at a time

/// One of several runs on the same data.
struct Job {
  std::string what;  ///< Stage::what
  std::string name;  ///< for people: "grapes, seed 3"
  Config config;
  std::filesystem::path folder = {};
  bool checkpoints = true;
  bool tests = true;                      ///< whether the run has the test examples
  std::size_t number = 0;                 ///< in the study; the same before and after its tuning
  std::vector<std::size_t> after = {};    ///< jobs that must have ended before; their numbers are smaller
  std::function<void(Job&)> settle = {};  ///< called then, before the run begins; sets what depends on them
};

/// How the processes that work on a study divide its runs.
struct Share {
  /// This process alone; or by claims, in any number of processes (claim.h); or the part-th of `parts`, without claims.
  enum class By { alone, claims, parts } by = By::alone;
  std::int64_t part = 1, parts = 1;  ///< a job is in part number % parts + 1
  double heartbeat = 10;             ///< seconds, of claims

  bool has(const Job& job) const {
    return by != By::parts || static_cast<std::int64_t>(job.number) % parts == part - 1;
  }
};
/// Parses "", "auto" or "3/8". @throws UsageError
Share parse_share(const std::string& text);

/// Runs the jobs in order, `threads` in parallel, each with config.threads threads. A run that has finished or diverged
/// in a job's folder is kept; one with a checkpoint is resumed; any other starts again. After a signal no job is
/// started, and running jobs write their checkpoints.
/// @param worker    claims the runs, and waits for those of other processes; or nothing
/// @param overview  called with each Stage; or empty
/// @return a status per job; `running` for a job that has not ended here or elsewhere
/// @throws exceptions of a run, after the others of this process have ended
std::vector<record::Status> run_all(std::vector<Job>& jobs, const data::Splits& splits, std::int64_t threads,
                                    const Share& share, Worker* worker, const Overview& overview);

}  // namespace grapes::experiment
