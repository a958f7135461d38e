#pragma once

#include "grapes/data/open.h"
#include "grapes/experiment/checkpoint.h"
#include "grapes/fixed/network.h"

#include <cstdint>
#include <vector>

/// Evaluates an integer network on data before it is deployed.
namespace grapes::embedded {

/// Scores over a data set.
struct Score {
  double value = 0;            ///< accuracy or R², as in train::Metrics
  std::int64_t saturated = 0;  ///< number of logits at the limits of their format
};
/// @param criterion  of the trained network, for standardized targets
Score score(const fixed::Network& network, fixed::State& state, const data::Dataset& dataset,
            const nn::Criterion& criterion);

/// Learns the examples `rows` [n] int64 of a data set one after the other, as a device does.
/// @param network  with `learning`
void learn(const fixed::Network& network, fixed::State& state, const data::Dataset& dataset, const at::Tensor& rows,
           const nn::Criterion& criterion);

/// Scores of a trained network in floating point, in integers, and in integers that continue to learn the training
/// examples. The order of each pass is drawn from the run's seed, or is that of the file if the data are not shuffled.
struct Rehearsal {
  double real = 0;
  Score before;
  std::vector<double> after;  ///< a score per pass
};
/// @param examples  the part of `splits` for the scores @param passes  over splits.train; 0: no learning
Rehearsal rehearse(const experiment::Loaded& loaded, const fixed::Network& network, const data::Splits& splits,
                   const data::Dataset& examples, std::int64_t passes);

}  // namespace grapes::embedded
