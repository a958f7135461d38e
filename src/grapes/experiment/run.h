#pragma once

#include "grapes/continual/scenario.h"
#include "grapes/experiment/config.h"
#include "grapes/record/record.h"

#include <filesystem>
#include <memory>
#include <string>

namespace grapes::experiment {

/// Versions, git hash, compiler, CPU, threads, BLAS, time: env.json and `grapes env`.
record::Json environment(const Config& config);

/// The run's threads, for whoever does its large products: the BLAS, or oneDNN on LibTorch's.
void take_threads(const Config& config);

/// Where a run begins and what it keeps.
struct RunPlan {
  std::filesystem::path folder;  ///< "" keeps nothing
  bool resume = false;           ///< go on from folder/checkpoints/last.safetensors
  std::string init;              ///< a safetensors file with the initial weights, or ""
  bool checkpoints = true;
};

/// The tasks of a run: from the manifest's file, or drawn from the run's seed. @throws UsageError, DataError
continual::Scenario scenario_of(const Config& config, const data::Splits& splits);
/// What the network of a run is asked: of all tasks together, where there are several.
data::DatasetInfo info_of(const Config& config, const data::Splits& splits);
/// Whatever can be known before a run begins: that there can be such tasks and such a network. @throws Error
void check_possible(const Config& config, const data::Splits& splits);

/// One run from a configuration, on data that is open already: one task, or several one after the other. Interruption,
/// divergence: an outcome.
record::Status run(const Config& config, const data::Splits& splits, const RunPlan& plan, const train::Watch& watch);

/// What a data set means, as a checkpoint holds it. @throws DataError for a task there is not, record::Json::exception
record::Json to_json(const data::DatasetInfo& info);
data::DatasetInfo info_from(const record::Json& json);

/// A network as a checkpoint describes it, with its weights. @throws DataError for a corrupt or foreign file
struct Loaded {
  Config config;
  data::DatasetInfo info;
  data::Normalization normalization;  ///< what an input must go through first
  std::unique_ptr<nn::Model> model;
  nn::Criterion criterion;
};
/// @param device  on which it is to compute: a checkpoint is of none
Loaded load(const std::filesystem::path& checkpoint, const std::string& device = "cpu");
/// A checkpoint of a network that has not been trained here: training can begin from it (--init), and load() reads it.
void save(const std::filesystem::path& checkpoint, const Config& config, const data::DatasetInfo& info,
          const data::Normalization& normalization, nn::Model& model);

}  // namespace grapes::experiment
