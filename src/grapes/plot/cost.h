#pragma once

#include <string>
#include <vector>

namespace grapes::plot {

/// A row of a picture of costs: what it is called and its parts, none below 0.
struct CostBar {
  std::string label;
  std::vector<double> parts;
};

/// One bar a row, its parts side by side in the order of their names, the sum behind it. A picture that stands alone.
/// @param parts  their names, at most six; each bar has as many
/// @param unit   of all numbers, "µJ"
/// @throws std::invalid_argument unless every bar has a number from 0 for every part
std::string cost_picture(const std::string& title, const std::string& unit, const std::vector<std::string>& parts,
                         const std::vector<CostBar>& bars);

}  // namespace grapes::plot
