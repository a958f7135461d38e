#pragma once

#include "grapes/data/open.h"
#include "grapes/record/record.h"
#include "grapes/train/run_writer.h"
#include "grapes/train/state.h"

namespace grapes::train {

/// Trains from the current state until all epochs are completed, the loss is not finite, or a signal arrives. Writes a
/// row of metrics for each epoch (see record.h). Divergence and signals are results, not exceptions.
/// @param group  the processes that train together, or null. All call this with the same state; the first one writes.
record::Status train(TrainState& state, const data::Splits& splits, const Options& options,
                     const RunWriter& writer = {}, const ProgressCallback& on_progress = {},
                     dist::Group* group = nullptr);

}  // namespace grapes::train
