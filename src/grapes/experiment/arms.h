#pragma once

#include "grapes/experiment/config.h"

#include <string>
#include <string_view>
#include <vector>

/// The arms of a comparison, by name.
namespace grapes::experiment {

/// The names in a list; "constant:1.85,1.79" is one of them. An empty name stays, for the caller to refuse.
std::vector<std::string> split_arms(std::string_view list);
/// The name that an arm has by itself: "bp", "grapes", "uniform", "fa", "fa+grapes", "constant:1.85", "ewc+grapes", ...
std::string arm_label(const Config& config);
/// The configuration of one run of an arm, with its name and without the options of comparisons. An arm is one of
/// own_arms, or at most one each of METHOD (of continual learning), ROUTE and MODULATION with + between them, with
/// constant:C1,C2 for constants; what it does not name is "none", "bp" and "none".
/// @throws UsageError that suggests the nearest name
Config with_arm(Config config, const std::string& arm);

}  // namespace grapes::experiment
