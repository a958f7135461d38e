#pragma once

#include "grapes/experiment/comparison.h"

#include <filesystem>
#include <string>
#include <vector>

namespace grapes::experiment {

/// Returns the configuration at one value of a sweep: the key of compare.sweep is set to its text, with the value for
/// {}.
/// @throws UsageError if the value is invalid for the key
Config at_value(Config config, double value);

/// Returns a comparison for each of compare.sweep_values in FOLDER/VALUE, or the only one in FOLDER.
/// @throws UsageError for invalid arms or values
std::vector<Comparison> comparisons(const Config& config, const std::filesystem::path& folder);

/// Runs the comparison at each of compare.sweep_values, as a complete comparison in FOLDER/VALUE with the log in
/// FOLDER, and summarizes all: FOLDER/sweep.json (key, values, arms), summary.json, picture.svg, report.html. A value
/// does not wait for those before it.
/// @throws the exceptions of compare()
Outcome sweep(const Config& config, const data::Splits& splits, const std::filesystem::path& folder, Begin how,
              const Overview& overview, const Shard& shard = {});

}  // namespace grapes::experiment
