#pragma once

#include "grapes/experiment/checkpoint.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <string>

namespace grapes::cli {

/// A checkpoint as a verb's argument: a file, or a run's folder, whose last one is meant.
/// @throws DataError for a folder that holds none
std::filesystem::path checkpoint_path(const std::string& argument);

/// The positional argument CHECKPOINT, which is required.
CLI::Option* add_checkpoint(CLI::App& verb, std::string& argument);

/// The examples of a part: "train" (never augmented), "validation" or "test".
/// @throws UsageError if the data have none
const data::Dataset& part_of(const data::Splits& splits, const std::string& part);

/// "accuracy" or "r2", and how its value is written: 88.41 %, or 0.8841.
std::string score_name(const data::DatasetInfo& info);
std::string score_text(const std::string& name, double score);

}  // namespace grapes::cli
