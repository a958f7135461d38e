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

/// One run: a network that learns the tasks of a scenario one after the other. All of it outlives the learning.
struct ContinualRun {
  train::TrainState& state;
  const Scenario& scenario;
  const Options& options;
  const optim::Options& optimizer;
  const train::Options& training;  ///< `epochs` of each task; schedule and warm-up begin anew with each
  std::function<std::unique_ptr<nn::Network>()> plain;  ///< see MethodContext
};

/// A checkpoint, and the name of its file for messages.
using Checkpoint = std::pair<train::Tensors, std::string>;

/// Learns the tasks in their order, with a row of metrics after each (see record.h). The checkpoint "best" is that of
/// the highest mean accuracy on the validation examples of all tasks. Divergence and signals: an outcome.
/// @param checkpoint  to resume from, bit for bit; or nothing
/// @throws UsageError for training options that mean nothing with several tasks
record::Status learn(const ContinualRun& run, const std::optional<Checkpoint>& checkpoint = {},
                     const train::RunWriter& writer = {}, const train::ProgressCallback& on_progress = {});

/// The last row of metrics that stands when learning resumes from a checkpoint; -1: none. @throws DataError
std::int64_t last_row(const Checkpoint& checkpoint);

}  // namespace grapes::continual
