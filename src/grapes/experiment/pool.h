#pragma once

#include "grapes/experiment/run.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace grapes::experiment {

/// How much of the whole is done.
struct Stage {
  std::string what;  ///< "tuning", "comparing"
  std::int64_t runs_done = 0, runs = 0;
  double epochs_done = 0, epochs = 0;  ///< over all runs of this stage
  std::string last;                    ///< "grapes, seed 3: accuracy 0.8841", of the run that ended last
};
using Overview = std::function<void(const Stage&)>;  ///< called from one thread at a time

/// One of many runs on the same data.
struct Job {
  std::string name;  ///< for people: "grapes, seed 3"
  Config config;
  std::filesystem::path folder;
  bool checkpoints = true;
};

/// Carries out the jobs in their order, `workers` at the same time, each on config.threads threads. A run that has
/// finished or diverged in a job's folder is kept, one with a checkpoint is resumed, another starts again. After a
/// signal no job begins, and those under way write their checkpoints.
/// @param what      Stage::what
/// @param overview  called with each Stage; or nothing
/// @return a status per job; `running` for one that was never begun
/// @throws what a run throws, after the others have ended
std::vector<record::Status> run_all(const std::vector<Job>& jobs, const data::Splits& splits, std::int64_t workers,
                                    const std::string& what, const Overview& overview);

}  // namespace grapes::experiment
