#pragma once

#include "grapes/cost/energy.h"
#include "grapes/data/open.h"
#include "grapes/experiment/config.h"

#include <cstdint>
#include <string>
#include <vector>

/// Cost of the training step of a configuration, and of the same network with other rules.
namespace grapes::cost {

/// Shapes of the network's data, and the number of time steps if examples are sequences.
struct Problem {
  nn::Signature signature;
  std::int64_t steps = 1;
};
/// Returns those of a data set. The number of steps is that of the longest example in the first batch.
Problem problem_of(const experiment::Config& config, const data::Splits& splits);

/// A rule with its cost.
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
  std::vector<Arm> arms;  ///< the same network with bp, fa and dfa × none and grapes × sgd, momentum and adam
};
/// @throws UsageError with the key of an option whose cost is not modeled: normalization, crossbars, number formats per
///   part, recomputation, truncated backpropagation through time
Study study(const experiment::Config& config, const Problem& problem);

}  // namespace grapes::cost
