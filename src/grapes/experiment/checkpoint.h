#pragma once

#include "grapes/experiment/config.h"
#include "grapes/nn/loss.h"
#include "grapes/record/record.h"
#include "grapes/train/safetensors.h"

#include <filesystem>
#include <memory>
#include <string>

/// Checkpoints: a network with its configuration and a description of its data.
namespace grapes::experiment {

/// Describes a data set. @throws DataError for an unknown kind of problem, record::Json::exception
record::Json to_json(const data::DatasetInfo& info);
data::DatasetInfo info_from(const record::Json& json);

/// Returns the part of a run's checkpoints that training does not change.
train::Tensors constants(const Config& config, const data::DatasetInfo& info, const data::Normalization& normalization);

/// Returns the configuration of a checkpoint. @throws DataError for a corrupt or foreign file
Config config_of(const std::filesystem::path& checkpoint);

/// Loads the network of a checkpoint with its weights. @throws DataError for a corrupt or foreign file
struct Loaded {
  Config config;
  data::DatasetInfo info;
  data::Normalization normalization;  ///< must be applied to inputs first
  std::unique_ptr<nn::Network> model;
  nn::Criterion criterion;
};
/// @param device  device of the computation; checkpoints load on any device
Loaded load(const std::filesystem::path& checkpoint, const std::string& device = "cpu");
/// Writes a checkpoint of a network from another source. Training can start from it, and load() reads it.
void save(const std::filesystem::path& checkpoint, const Config& config, const data::DatasetInfo& info,
          const data::Normalization& normalization, nn::Network& model);

}  // namespace grapes::experiment
