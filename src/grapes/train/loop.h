#pragma once

#include "grapes/data/dataset.h"
#include "grapes/train/run_writer.h"
#include "grapes/train/step.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace grapes::train {

/// What an epoch learns from. Both are functions of the progress at its beginning alone: then a run that was stopped in
/// the middle resumes bit for bit.
struct Epoch {
  std::vector<at::Tensor> batches;  ///< of each batch the numbers of its examples, [batch, ...] int64
  /// Batch number `index` of these examples. Called on another thread where that is quicker.
  std::function<data::Batch(const at::Tensor& examples, std::int64_t index)> make;
};

/// An epoch over one data set, in a new order each time or in the order of the file.
Epoch epoch_of(const data::Dataset& examples, bool shuffle, const Options& options, std::int64_t epoch);

/// How an epoch went.
struct EpochResult {
  double loss = 0, score = 0;                 ///< on training examples, while it ran
  double learning_rate = 0;                   ///< at its beginning
  double seconds = 0;                         ///< of training
  bool evaluate = false;                      ///< whether evaluate_every asks for an evaluation now
  const std::vector<double>& gradient_norms;  ///< of the last batch, per parameter
};

/// What an evaluation found on validation examples; nothing where there was none.
struct Validation {
  std::optional<double> loss = {};   ///< what the schedule sees, in place of the training loss
  std::optional<double> score = {};  ///< by which the best checkpoint is chosen
};

/// What is particular to a kind of training. All but `epoch` may be empty.
struct LoopCallbacks {
  /// The epoch that the progress is in; asked for again when training resumes within it.
  std::function<Epoch()> epoch;
  std::function<void(const data::Batch&, nn::Pass&, StepOptions&)> before_step = {};
  /// While the progress is still that of this batch. Its time does not count as training.
  std::function<void(const StepResult&)> after_step = {};
  /// Evaluates and writes a row of metrics; the progress is that of the end of the epoch.
  std::function<Validation(const EpochResult&)> after_epoch = {};
  /// Adds to a checkpoint what is changed by training besides the state.
  std::function<void(Tensors&)> pack = {};
};

/// The training loop: of the trainer, continual learning, and parity. Batches are made ahead on another thread where
/// that is worth it; the checkpoints "last" and "best" are written; a signal or a loss that is not finite ends it.
class Loop final {
 public:
  /// @param state, options  outlive the loop
  /// @param examples        whose targets the running score is of
  Loop(TrainState& state, const Options& options, const data::Dataset& examples, LoopCallbacks callbacks,
       RunWriter writer = {}, ProgressCallback on_progress = {});

  /// From where the progress stands until options.epochs are completed or the patience is spent.
  /// @param place  what a message about the end begins with: "task 2, "
  /// @return finished, interrupted (the checkpoint is written) or diverged: an outcome, never an exception
  record::Status run(const std::string& place = "");

 private:
  bool done() const;
  record::Status epoch(const std::string& place);
  void finish_epoch(const EpochResult& result);
  double rate(double epoch) const { return state_.learning_rate * state_.schedule->multiple(epoch); }
  void checkpoint(const char* name) const;

  TrainState& state_;
  const Options& options_;
  const data::Dataset& examples_;
  const LoopCallbacks callbacks_;
  const RunWriter writer_;
  const ProgressCallback on_progress_;
  bool prefetch_ = false;
  std::vector<double> gradient_norms_;
};

}  // namespace grapes::train
