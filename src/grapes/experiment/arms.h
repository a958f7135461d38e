#pragma once

#include "grapes/experiment/config.h"

#include <string>
#include <string_view>
#include <vector>

/// The arms of a comparison, by name.
namespace grapes::experiment {

/// Splits a list of arms. "constant:1.85,1.79" is a single name. Empty names are kept, so that the caller can report
/// them.
std::vector<std::string> split_arms(std::string_view list);
/// Returns the default name of an arm: "bp", "grapes", "uniform", "fa", "fa+grapes", "constant:1.85", "ewc+grapes", ...
std::string arm_label(const Config& config);
/// Returns the configuration of one run of an arm, with its name and without options of comparisons. An arm is one of
/// own_arms, or at most one each of METHOD (of continual learning), ROUTE and MODULATION joined by +, with
/// constant:C1,C2 for constants. Omitted parts are "none", "bp" and "none".
/// @throws UsageError that suggests the nearest name
Config with_arm(Config config, const std::string& arm);

}  // namespace grapes::experiment
