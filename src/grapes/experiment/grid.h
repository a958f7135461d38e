#pragma once

#include <string_view>
#include <vector>

/// Grids of learning rates.
namespace grapes::experiment {

/// Reads a grid: rates, and series "LOW..HIGH:FACTOR", separated by commas. A series starts at LOW, and each further
/// rate is FACTOR times the one before, rounded to three digits, up to HIGH. FACTOR is a number above 1, or sqrt2,
/// sqrt10: "0.01..0.04:sqrt2" is 0.01, 0.0141, 0.02, 0.0283, 0.04.
/// @return whether the text is a grid of rates above 0
bool read_grid(std::string_view text, std::vector<double>& grid);

/// Returns the rates that continue a grid at one of its ends, in the ratio of its two rates there, as above.
/// @param grid  at least two rates in increasing order
/// @param up    at its end of large rates
std::vector<double> continuation(const std::vector<double>& grid, bool up, int count);

}  // namespace grapes::experiment
