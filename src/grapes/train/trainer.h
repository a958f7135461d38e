#pragma once

#include "grapes/data/open.h"
#include "grapes/record/record.h"
#include "grapes/train/run_writer.h"
#include "grapes/train/state.h"

namespace grapes::train {

/// Trains from where the state stands until all epochs are done, the loss is no longer finite, or a signal came, with a
/// row of metrics for each epoch (see record.h). An outcome, never an exception, for divergence and signals.
record::Status train(TrainState& state, const data::Splits& splits, const Options& options,
                     const RunWriter& writer = {}, const ProgressCallback& on_progress = {});

}  // namespace grapes::train
