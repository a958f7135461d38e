#pragma once

#include "grapes/cost/energy.h"
#include "grapes/data/open.h"
#include "grapes/experiment/config.h"

#include <cstdint>
#include <string>
#include <vector>

/// The training step that a configuration describes, and the same network by other rules.
namespace grapes::cost {

/// What the network is asked, and the steps of its examples if they are sequences.
struct Problem {
  nn::Signature signature;
  std::int64_t steps = 1;
};
/// Of a data set: steps are those of the longest of the first batch.
Problem problem_of(const experiment::Config& config, const data::Splits& splits);

/// A rule with its costs.
struct Arm {
  std::string name;  ///< "bp", "dfa+grapes"
  std::string optimizer;
  std::vector<LayerCost> layers;
};

struct Study {
  std::string model;
  Problem problem;
  std::int64_t batch = 0;
  Arm arm;                ///< as configured
  std::vector<Arm> arms;  ///< the same network by bp, fa and dfa × none and grapes × sgd, momentum and adam
};
/// @throws UsageError that names the key of what is not counted: normalization, crossbars, formats of parts,
/// recomputation, truncated time
Study study(const experiment::Config& config, const Problem& problem);

}  // namespace grapes::cost
