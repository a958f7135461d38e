#pragma once

#include "grapes/experiment/compare.h"

#include <filesystem>
#include <string>

namespace grapes::experiment {

/// The configuration at one value of a sweep: the key of compare.sweep set to its text, with the value for {}.
/// @throws UsageError if the key does not take that
Config at_value(Config config, double value);

/// Runs the comparison once for each of compare.sweep_values, each a whole comparison in FOLDER/VALUE, and summarizes
/// all: FOLDER/sweep.json (key, values, arms), summary.json, picture.svg, report.html. With `resume`, finished values
/// are kept and the interrupted one continues.
/// @throws as compare()
Outcome sweep(const Config& config, const data::Splits& splits, const std::filesystem::path& folder, bool resume,
              const Overview& overview);

}  // namespace grapes::experiment
