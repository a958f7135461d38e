#pragma once

#include "grapes/continual/method.h"
#include "grapes/train/run_writer.h"
#include "grapes/train/state.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace grapes::continual {

/// A run of continual learning: a network that learns the tasks of a scenario in sequence. All members must outlive it.
struct ContinualRun {
  train::TrainState& state;
  const Scenario& scenario;
  const Options& options;
  const optim::Options& optimizer;
  const train::Options& training;  ///< `epochs` per task; schedule and warm-up start again for each task
  std::function<std::unique_ptr<nn::Network>()> plain;  ///< see MethodContext
};

/// A checkpoint, and its file name for messages.
using Checkpoint = std::pair<train::Tensors, std::string>;

/// Learns the tasks in order, with a row of metrics after each (see record.h). The checkpoint "best" has the highest
/// mean accuracy on the validation examples of all tasks. Divergence and signals are results, not exceptions.
/// @param checkpoint  to resume from, bit for bit; or nothing
/// @throws UsageError for training options that are not supported with several tasks
record::Status learn(const ContinualRun& run, const std::optional<Checkpoint>& checkpoint = {},
                     const train::RunWriter& writer = {}, const train::ProgressCallback& on_progress = {});

/// Returns the epoch of the last row of metrics to keep when a run resumes from a checkpoint; -1: none. @throws
/// DataError
std::int64_t last_row(const Checkpoint& checkpoint);

}  // namespace grapes::continual
