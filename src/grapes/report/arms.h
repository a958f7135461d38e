#pragma once

#include <array>
#include <string>
#include <vector>

namespace grapes::report {

/// The arms of the paper and its controls, in the order in which they are listed, drawn and explained.
struct KnownArm {
  const char* name;
  const char* meaning;  ///< one line, for the page
};
extern const std::array<KnownArm, 6> known_arms;

/// The place in this table, its size for any other arm. Constants count as one arm: "constant:1.85", "constant:2".
std::size_t place_of(const std::string& arm);

/// What is held against what beside the baseline, and what the difference is due to.
struct Control {
  std::string arm, against;
  std::string meaning;
};
/// Of the arms that are there: grapes against uniform and shuffled, X+grapes against X.
std::vector<Control> controls_of(const std::vector<std::string>& arms);

}  // namespace grapes::report
