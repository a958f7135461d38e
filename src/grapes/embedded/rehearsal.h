#pragma once

#include "grapes/data/open.h"
#include "grapes/experiment/checkpoint.h"
#include "grapes/fixed/network.h"

#include <cstdint>
#include <vector>

/// How well a network in integers does on data, before it stands on a device.
namespace grapes::embedded {

/// Over a data set.
struct Score {
  double value = 0;            ///< as train::Metrics has it: accuracy, or R²
  std::int64_t saturated = 0;  ///< logits that are the largest or the smallest of their format
};
Score score(const fixed::Network& network, fixed::State& state, const data::Dataset& dataset);

/// Learning over a data set, as a device would see it: the examples `rows` [n] int64, one after the other.
/// @param network  with `learning`
void learn(const fixed::Network& network, fixed::State& state, const data::Dataset& dataset, const at::Tensor& rows);

/// A trained network in floating point, in integers, and in integers that go on learning the training examples, each
/// pass in an order of its own drawn from the run's seed (or in their own order, where the data are not shuffled).
struct Rehearsal {
  double real = 0;
  Score before;
  std::vector<double> after;  ///< scores, one a pass
};
/// @param examples  those of `splits` that scores are taken on @param passes  over splits.train; 0: it does not learn
Rehearsal rehearse(const experiment::Loaded& loaded, const fixed::Network& network, const data::Splits& splits,
                   const data::Dataset& examples, std::int64_t passes);

}  // namespace grapes::embedded
