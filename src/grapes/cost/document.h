#pragma once

#include "grapes/cost/energy.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

/// Costs as JSON: words, numbers of operations, picojoules.
namespace grapes::cost {

/// A rule with its costs.
struct Arm {
  std::string name;  ///< "bp", "dfa+grapes"
  std::string optimizer;
  std::vector<LayerCost> layers;
};

/// One layer: its phases with what each goes through and where that lies, its state, what it sends.
nlohmann::json document_of(const LayerCost& layer, const Prices& prices);

/// One object an arm: its sums, and their ratios to those of bp by the same update rule.
/// @param arms  bp among them, with every update rule that another has
nlohmann::json documents_of(const std::vector<Arm>& arms, const Prices& prices);

}  // namespace grapes::cost
