#pragma once

#include "grapes/experiment/compare.h"

#include <filesystem>
#include <string>

namespace grapes::experiment {

/// Returns the configuration at one value of a sweep: the key of compare.sweep is set to its text, with the value for
/// {}.
/// @throws UsageError if the value is invalid for the key
Config at_value(Config config, double value);

/// Runs the comparison at each of compare.sweep_values, as a complete comparison in FOLDER/VALUE, and summarizes all:
/// FOLDER/sweep.json (key, values, arms), summary.json, picture.svg, report.html. With `resume`, finished values are
/// kept and the interrupted one continues.
/// @throws the exceptions of compare()
Outcome sweep(const Config& config, const data::Splits& splits, const std::filesystem::path& folder, bool resume,
              const Overview& overview);

}  // namespace grapes::experiment
