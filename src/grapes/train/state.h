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

/// The progress of training, stored in checkpoints.
struct Progress {
  std::int64_t epoch = 0;       ///< number of completed epochs
  std::int64_t batch = 0;       ///< number of completed batches in the current epoch
  std::int64_t step = 0;        ///< number of batches in total
  Totals totals = {};           ///< of the current epoch
  double seconds = 0;           ///< training time of the current epoch
  double best = -1e300;         ///< best validation score so far
  std::int64_t best_epoch = 0;  ///< epoch of the best score
  bool carried = false;         ///< .grad contains the gradients of a remainder
};

nn::Signature signature_of(const data::DatasetInfo& info);
nn::Criterion criterion_of(const nn::Options& network, const Options& training, const data::DatasetInfo& info);

/// Creates the optimizer of a network's parameters. @throws UsageError if the network does not support it
std::unique_ptr<optim::Optimizer> optimizer_of(const optim::Options& update, const nn::Network& model);

/// A network, its loss, optimizer and schedule, and the progress of its training: everything that training changes and
/// a checkpoint contains.
struct TrainState {
  /// Initializes from `training.seed`. @throws UsageError for an invalid option
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
