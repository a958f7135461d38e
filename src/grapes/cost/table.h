#pragma once

#include "grapes/cost/study.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

/// Costs for people.
namespace grapes::cost {

/// "0", "612", "12.8 M": three digits that count.
std::string count_text(double count);
/// Microjoules, four digits that count.
std::string energy_text(double picojoules);

using Table = std::vector<std::vector<std::string>>;
/// A row a layer and phase with its operations, words and energy, and one for all phases; last the whole network.
Table layer_table(const Arm& arm, const Prices& prices);
/// A row an arm. @param arms  documents_of()
Table arm_table(const nlohmann::json& arms);

/// A bar an arm, its energy by phase: SVG that stands alone. @param arms  documents_of()
std::string picture(const std::string& title, const nlohmann::json& arms);

}  // namespace grapes::cost
