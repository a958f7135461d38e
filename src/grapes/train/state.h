#pragma once

#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"
#include "grapes/optim/optimizer.h"
#include "grapes/optim/schedule.h"
#include "grapes/train/metrics.h"
#include "grapes/train/options.h"

#include <cstdint>
#include <memory>

namespace grapes::train {

/// How far training has come: what a checkpoint holds besides tensors.
struct Progress {
  std::int64_t epoch = 0;       ///< epochs completed
  std::int64_t batch = 0;       ///< batches done in the next one
  std::int64_t step = 0;        ///< batches done in all
  Totals totals = {};           ///< of the epoch in progress
  double seconds = 0;           ///< of training, in the epoch in progress
  double best = -1e300;         ///< best validation score so far
  std::int64_t best_epoch = 0;  ///< and its epoch
  bool carried = false;         ///< gradients of a remainder wait in .grad
};

nn::Signature signature_of(const data::DatasetInfo& info);
nn::Criterion criterion_of(const nn::Options& network, const Options& training, const data::DatasetInfo& info);

/// A network, how it learns, and how far it has come: all that changes while it trains, and all that a checkpoint
/// holds.
struct TrainState {
  /// Freshly drawn from `training.seed`. @throws UsageError for an option that cannot be
  TrainState(const nn::Options& network, const optim::Options& update, const Options& training,
             const data::DatasetInfo& info);

  std::unique_ptr<nn::Network> model;
  nn::Criterion criterion;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::unique_ptr<optim::Schedule> schedule;
  double learning_rate;  ///< base rate
  Progress progress = {};
};

}  // namespace grapes::train
