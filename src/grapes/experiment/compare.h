#pragma once

#include "grapes/experiment/run.h"

#include <filesystem>
#include <functional>
#include <string>

namespace grapes::experiment {

/// Told to whoever watches: how much of the whole is done.
struct Stage {
  std::string what;  ///< "tuning", "comparing"
  std::int64_t runs_done = 0, runs = 0;
  double epochs_done = 0, epochs = 0;  ///< over all runs of this stage
  std::string last;                    ///< "grapes, seed 3: 88.41 %", of the run that ended last
};
using Overview = std::function<void(const Stage&)>;  ///< called from one thread at a time

/// Arms × seeds, paired: per seed every arm starts from the same weights and sees the same order. With `tune`, each
/// arm's learning rate is chosen first, on validation data of tuning seeds that the comparison does not use. Layout:
///     FOLDER/compare.json, config.toml, env.json, status.json, log.txt, report.html, summary.json, picture.svg
///     FOLDER/tuning/ARM/RATE/seed-K/     FOLDER/arms/ARM/seed-K/     one run each
/// A diverged run is recorded and the rest goes on; a signal ends all workers with their checkpoints written. With
/// `resume` finished runs are kept, half-done ones continued.
struct Outcome {
  Exit exit = Exit::done;        ///< diverged if any run of the comparison proper diverged; interrupted; done
  std::filesystem::path report;  ///< the page, if there is one
  record::Json summary;
};
Outcome compare(const Config& config, const std::filesystem::path& folder, bool resume, const Overview& overview);

}  // namespace grapes::experiment
