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

/// The batches of an epoch. Both members must be functions of the progress at the start of the epoch only, so that a
/// run that was stopped in the middle resumes bit for bit.
struct Epoch {
  std::vector<at::Tensor> batches;  ///< numbers of each batch's examples, [batch, ...] int64
  /// Creates batch number `index` from these examples. It may be called on another thread.
  std::function<data::Batch(const at::Tensor& examples, std::int64_t index)> make;
};

/// Returns an epoch over one data set, shuffled or in the order of the file.
Epoch epoch_of(const data::Dataset& examples, bool shuffle, const Options& options, std::int64_t epoch);

/// Results of an epoch.
struct EpochResult {
  double loss = 0, score = 0;  ///< running means on training examples
  double learning_rate = 0;    ///< at the start of the epoch
  double seconds = 0;          ///< of training
  bool evaluate = false;       ///< whether evaluate_every requires an evaluation
  /// Of the last batch, per parameter; empty: not computed.
  const std::vector<double>&gradient_norms, &update_norms;
};

/// Results on validation examples; empty without validation examples.
struct Validation {
  std::optional<double> loss = {};   ///< for the schedule, replaces the training loss
  std::optional<double> score = {};  ///< decides which checkpoint is the best
};

/// What differs between kinds of training. All except `epoch` may be empty.
struct LoopCallbacks {
  /// Returns the epoch of the current progress. It is called again when training resumes within an epoch.
  std::function<Epoch()> epoch;
  std::function<void(const data::Batch&, nn::Pass&, StepOptions&)> before_step = {};
  /// Called when the progress is still that of this batch. Its time does not count as training time.
  std::function<void(const StepResult&)> after_step = {};
  /// Evaluates and writes a row of metrics. The progress is that of the end of the epoch.
  std::function<Validation(const EpochResult&)> after_epoch = {};
  /// Adds to a checkpoint what training changes besides the state.
  std::function<void(Tensors&)> pack = {};
};

/// The training loop of the trainer, continual learning and parity. Batches are prepared on another thread if that
/// saves time. The checkpoints "last" and "best" are written. The loop ends early after a signal or if the loss is not
/// finite.
class Loop final {
 public:
  /// @param state, options  must outlive the loop
  /// @param examples        examples of the running score
  /// @param group           the processes that train together, or null; all call run() with the same state
  Loop(TrainState& state, const Options& options, const data::Dataset& examples, LoopCallbacks callbacks,
       RunWriter writer = {}, ProgressCallback on_progress = {}, dist::Group* group = nullptr);

  /// Trains from the current progress until options.epochs are completed or `patience` is exceeded.
  /// @param place  start of messages about the end: "task 2, "
  /// @return finished, interrupted (the checkpoint is written) or diverged; none of these is an exception
  record::Status run(const std::string& place = "");

 private:
  bool done() const;
  record::Status epoch(const std::string& place);
  /// @param part  of the batch, in this process
  StepOptions options_of(const data::Batch& batch, const Share& share, std::int64_t part, std::int64_t batches);
  void finish_epoch(const EpochResult& result);
  double rate(double epoch) const { return state_.learning_rate * state_.schedule->multiple(epoch); }
  void checkpoint(const char* name) const;
  int signal() const;

  TrainState& state_;
  const Options& options_;
  const data::Dataset& examples_;
  const LoopCallbacks callbacks_;
  const RunWriter writer_;
  const ProgressCallback on_progress_;
  std::optional<Sharing> sharing_;  // if batches are divided
  bool prefetch_ = false;
  std::vector<double> gradient_norms_, update_norms_;
};

}  // namespace grapes::train
