#pragma once

#include "grapes/continual/scenario.h"
#include "grapes/dist/group.h"
#include "grapes/experiment/config.h"
#include "grapes/record/record.h"
#include "grapes/train/run_writer.h"

#include <filesystem>
#include <functional>
#include <string>

namespace grapes::experiment {

/// Start of a run, and what it writes.
struct RunPlan {
  std::filesystem::path folder;  ///< of the record; "": no record is written
  bool resume = false;           ///< continue from folder/checkpoints/last.safetensors
  std::string init;              ///< a safetensors file with the initial weights, or ""
  bool checkpoints = true;
  std::function<void(const nn::Network&)> on_network = {};  ///< called with the network before training begins
  /// The processes that train together, or null. The first one reads `init` and writes the record; the others have no
  /// folder.
  dist::Group* group = nullptr;
};

/// Returns the tasks of a run: from the manifest, or drawn from the run's seed. @throws UsageError, DataError
continual::Scenario scenario_of(const Config& config, const data::Splits& splits);
/// Describes what the network of a run predicts; with several tasks, for all of them.
data::DatasetInfo info_of(const Config& config, const data::Splits& splits);
/// Checks that the data support the tasks and the network. @throws Error
void check_possible(const Config& config, const data::Splits& splits);

/// Runs training on open data, with one or several tasks. Interruption and divergence are states of the result, not
/// exceptions.
record::Status run(const Config& config, const data::Splits& splits, const RunPlan& plan,
                   const train::ProgressCallback& on_progress);

}  // namespace grapes::experiment
