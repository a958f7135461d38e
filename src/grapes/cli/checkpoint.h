#pragma once

#include "grapes/experiment/checkpoint.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <string>

namespace grapes::cli {

/// Resolves a checkpoint argument: a file, or the folder of a run, whose last checkpoint is used.
/// @throws DataError for a folder without a checkpoint
std::filesystem::path checkpoint_path(const std::string& argument);

/// Adds the required positional argument CHECKPOINT.
CLI::Option* add_checkpoint(CLI::App& verb, std::string& argument);

/// Returns the examples of a part: "train" (not augmented), "validation" or "test".
/// @throws UsageError if the data have no such part
const data::Dataset& part_of(const data::Splits& splits, const std::string& part);

/// Returns "accuracy" or "r2". score_text() formats its value: 88.41 %, or 0.8841.
std::string score_name(const data::DatasetInfo& info);
std::string score_text(const std::string& name, double score);

}  // namespace grapes::cli
