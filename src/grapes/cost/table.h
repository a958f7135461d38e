#pragma once

#include "grapes/cost/study.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

/// Tables of costs for people.
namespace grapes::cost {

/// Formats a count with three significant digits: "0", "612", "12.8 M".
std::string count_text(double count);
/// Formats an energy in microjoules with four significant digits.
std::string energy_text(double picojoules);

using Table = std::vector<std::vector<std::string>>;
/// Returns a row per layer and phase with its operations, words and energy, and the sum; the last rows are the whole
/// network.
Table layer_table(const Arm& arm, const Prices& prices);
/// Returns a row per arm. @param arms  documents_of()
Table arm_table(const nlohmann::json& arms);

/// Draws a bar per arm with its energy by phase, as a complete SVG. @param arms  documents_of()
std::string picture(const std::string& title, const nlohmann::json& arms);

}  // namespace grapes::cost
