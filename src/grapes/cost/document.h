#pragma once

#include "grapes/cost/study.h"

#include <nlohmann/json_fwd.hpp>

#include <vector>

/// Costs as JSON: words, numbers of operations, picojoules.
namespace grapes::cost {

/// One layer: its phases with what each goes through and where that lies, its state, what it sends.
nlohmann::json document_of(const LayerCost& layer, const Prices& prices);

/// One object an arm: its sums, and their ratios to those of bp by the same update rule.
/// @param arms  bp among them, with every update rule that another has
nlohmann::json documents_of(const std::vector<Arm>& arms, const Prices& prices);

/// The whole of cost.json.
nlohmann::json document_of(const Study& study, const Prices& prices);

}  // namespace grapes::cost
