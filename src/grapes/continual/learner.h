#pragma once

#include "grapes/continual/method.h"
#include "grapes/train/safetensors.h"
#include "grapes/train/trainer.h"

#include <optional>

namespace grapes::continual {

/// One run: a network that learns the tasks of a scenario one after the other.
struct Course {
  Setting setting;
  const optim::Options& optimizer;
  const train::Options& training;  ///< `epochs` of each task; schedule and warm-up begin anew with each
};

/// Learn the tasks in their order. Metrics have a row after each task (see record.h), checkpoints are written after
/// each epoch, task, and at an interruption, from which learning goes on bit for bit. Divergence and signals: an
/// outcome.
/// @param checkpoint  to go on from, and its name; or nothing
/// @param keep        or null: nothing is kept
record::Status learn(const Course& course, const std::optional<std::pair<train::Tensors, std::string>>& checkpoint,
                     const train::Keep* keep, const train::Watch& watch);

/// The last row of metrics that stands when learning goes on from a checkpoint; -1: none. @throws DataError
std::int64_t last_row(const train::Tensors& checkpoint, const std::string& file);

}  // namespace grapes::continual
