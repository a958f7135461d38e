#pragma once

#include "grapes/experiment/config.h"
#include "grapes/nn/loss.h"
#include "grapes/record/record.h"
#include "grapes/train/safetensors.h"

#include <filesystem>
#include <memory>
#include <string>

/// Checkpoints: a network with its configuration, and what its data looked like.
namespace grapes::experiment {

/// What the data looked like, as JSON. @throws DataError for an unknown kind of problem, record::Json::exception
record::Json to_json(const data::DatasetInfo& info);
data::DatasetInfo info_from(const record::Json& json);

/// What every checkpoint of a run holds besides what training changes.
train::Tensors constants(const Config& config, const data::DatasetInfo& info, const data::Normalization& normalization);

/// A network as a checkpoint describes it, with its weights. @throws DataError for a corrupt or foreign file
struct Loaded {
  Config config;
  data::DatasetInfo info;
  data::Normalization normalization;  ///< what an input must go through first
  std::unique_ptr<nn::Network> model;
  nn::Criterion criterion;
};
/// @param device  where it computes; checkpoints load on any device
Loaded load(const std::filesystem::path& checkpoint, const std::string& device = "cpu");
/// Writes a checkpoint of a network from elsewhere: training can start from it, and load() reads it.
void save(const std::filesystem::path& checkpoint, const Config& config, const data::DatasetInfo& info,
          const data::Normalization& normalization, nn::Network& model);

}  // namespace grapes::experiment
