#pragma once

#include "grapes/continual/scenario.h"
#include "grapes/experiment/config.h"
#include "grapes/record/record.h"
#include "grapes/train/run_writer.h"

#include <filesystem>
#include <functional>
#include <string>

namespace grapes::experiment {

/// Where a run starts from and what it keeps.
struct RunPlan {
  std::filesystem::path folder;  ///< of the record; "": none is written
  bool resume = false;           ///< continue from folder/checkpoints/last.safetensors
  std::string init;              ///< a safetensors file with the initial weights, or ""
  bool checkpoints = true;
  std::function<void(const nn::Network&)> on_network = {};  ///< called with the network before training begins
};

/// The tasks of a run: from the manifest's file, or drawn from the run's seed. @throws UsageError, DataError
continual::Scenario scenario_of(const Config& config, const data::Splits& splits);
/// What the network of a run predicts; with several tasks, of all of them together.
data::DatasetInfo info_of(const Config& config, const data::Splits& splits);
/// Checks that the tasks and the network are possible for these data. @throws Error
void check_possible(const Config& config, const data::Splits& splits);

/// One run on data that is open already: one task, or several one after the other. Interruption and divergence are
/// states of the result, not exceptions.
record::Status run(const Config& config, const data::Splits& splits, const RunPlan& plan,
                   const train::ProgressCallback& on_progress);

}  // namespace grapes::experiment
