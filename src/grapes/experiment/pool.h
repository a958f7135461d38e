#pragma once

#include "grapes/experiment/run.h"

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
  std::string name;  ///< for people: "grapes, seed 3"
  Config config;
  std::filesystem::path folder;
  bool checkpoints = true;
};

/// Runs the jobs in order, `workers` in parallel, each with config.threads threads. A run that has finished or diverged
/// in a job's folder is kept; one with a checkpoint is resumed; any other starts again. After a signal no job is
/// started, and running jobs write their checkpoints.
/// @param what      Stage::what
/// @param overview  called with each Stage; or empty
/// @return a status per job; `running` for a job that was not started
/// @throws exceptions of a run, after the others have ended
std::vector<record::Status> run_all(const std::vector<Job>& jobs, const data::Splits& splits, std::int64_t workers,
                                    const std::string& what, const Overview& overview);

}  // namespace grapes::experiment
