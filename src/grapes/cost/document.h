#pragma once

#include "grapes/cost/study.h"

#include <nlohmann/json_fwd.hpp>

#include <vector>

/// Costs as JSON: words, numbers of operations, picojoules.
namespace grapes::cost {

/// Returns one layer: its phases with their arrays and memories, its state, and what it sends.
nlohmann::json document_of(const LayerCost& layer, const Prices& prices);

/// Returns one object per arm: its sums, and their ratios to those of bp with the same update rule.
/// @param arms  must contain bp with every update rule of the others
nlohmann::json documents_of(const std::vector<Arm>& arms, const Prices& prices);

/// Returns the whole cost.json.
nlohmann::json document_of(const Study& study, const Prices& prices);

}  // namespace grapes::cost
