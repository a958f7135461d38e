#pragma once

#include "grapes/optim/schedule.h"

#include <cstdint>
#include <string>

/// Training. Factors and errors from credit, and batches from data, come together here.
namespace grapes::train {

struct Options {
  std::int64_t epochs = 10;
  std::int64_t batch_size = 64;
  std::string loss = "auto";  ///< a name in nn::losses(); auto: cross-entropy for classes, mse for numbers
  optim::ScheduleOptions schedule;
  double warm_up = 0;      ///< epochs
  std::uint64_t seed = 1;  ///< root of all random streams of the run
  /// Training ends after this number of epochs without a better validation score, and the best epoch is the result;
  /// 0: never.
  std::int64_t patience = 0;
  std::int64_t checkpoint_every = 1;  ///< epochs; one is always written after the last epoch and after an interruption
  std::int64_t evaluate_every =
      1;  ///< epochs between evaluations on validation and test data; the last epoch is always evaluated
  /// Each process computes its share of a batch in this number of parts, one after the other, to need less memory.
  std::int64_t accumulate = 1;
  /// In several processes: compute the statistics of batch normalization over all of them.
  bool sync_batch_norm = false;
  /// Steps between comparisons of the weights of all processes.
  std::int64_t check_every = 100;
  bool record_alignment = false;  ///< record the angles of alignment() after each epoch
  bool record_dose = false;       ///< record dose() and the norms of updates after each epoch
  // Compatibility flags of the authors' program, off by default. The parity cases set them.
  bool factors_at_rest = false;  ///< NAG: compute the factors from W instead of the look-ahead weights
  bool carry_remainder =
      false;  ///< the last, smaller batch of an epoch makes no update; its gradient is added to the next one
};

}  // namespace grapes::train
