#pragma once

#include "grapes/experiment/run.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace grapes::experiment {

/// Told to whoever watches: how much of the whole is done.
struct Stage {
  std::string what;  ///< "tuning", "comparing"
  std::int64_t runs_done = 0, runs = 0;
  double epochs_done = 0, epochs = 0;  ///< over all runs of this stage
  std::string last;                    ///< "grapes, seed 3: accuracy 0.8841", of the run that ended last
};
using Overview = std::function<void(const Stage&)>;  ///< called from one thread at a time

/// One of many runs on the same data.
struct Task {
  std::string name;  ///< for people: "grapes, seed 3"
  Config config;
  std::filesystem::path folder;
  bool checkpoints = true;
};

/// Carry out the tasks in their order, `jobs` at the same time, each on config.threads threads. What lies in a task's
/// folder is used: a run that finished or diverged is kept, one with a checkpoint goes on from it, another starts
/// again. After a signal no task is begun, and those under way end with their checkpoints.
/// @param what      of the Stage that `overview` is told
/// @param overview  or nothing
/// @return a status per task; `running` for one that was never begun
/// @throws what a run throws, after the others have ended
std::vector<record::Status> run_all(const std::vector<Task>& tasks, const data::Splits& splits, std::int64_t jobs,
                                    const std::string& what, const Overview& overview);

}  // namespace grapes::experiment
