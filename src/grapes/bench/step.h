#pragma once

#include "grapes/bench/turns.h"
#include "grapes/data/dataset.h"
#include "grapes/nn/network.h"
#include "grapes/optim/optimizer.h"
#include "grapes/train/step.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace grapes::bench {

/// A training step of a network that repeats one batch.
struct Step {
  Timing labels;
  nn::Options network;
  data::DatasetInfo info;
  data::Batch batch;
  optim::Options optimizer = {};
  double rate = 1e-5;        ///< small, so that a hundred thousand repetitions do not overfit the batch
  bool fused_update = true;  ///< see train::StepOptions
};

/// The network of a step in training mode.
class Learner {
 public:
  /// @param plain  use the reference, not fused kernels
  /// @param group  processes of which each computes a batch, or null
  explicit Learner(const Step& step, bool plain = false, dist::Group* group = nullptr);
  void step();
  double waited() const { return sharing_ ? sharing_->waited() : 0; }  ///< seconds, for other processes
  std::vector<nn::Named> parameters() const { return state_.model->parameters(); }

 private:
  data::Batch batch_;
  train::TrainState state_;
  train::StepOptions options_;
  std::optional<train::Sharing> sharing_;
};

/// Returns the same step with backpropagation and with GRAPES.
std::vector<Step> under_both_rules(const Step& step);

/// Allowed difference between the weights and those of the reference.
struct Agreement {
  double allowed = 2e-6;
  bool of_update = false;  ///< `allowed` is relative to the norm of the update; else it is an absolute difference
  int steps = 1;
  std::int64_t examples = 0;  ///< use only this many examples, because the reference may be slow; 0: all
};
/// @throws RunError if a fused step does not equal its reference; it is then not timed
void require_equal_to_reference(const std::vector<Step>& steps, const Agreement& agreement);

/// Converts steps to arms, labeled with their memory.
std::vector<Arm> arms(const std::vector<Step>& steps);

/// Returns classes for a batch, 0, 1, 2, ... in turn.
at::Tensor classes_in_turn(std::int64_t batch, std::int64_t classes);

/// "784-256-256-10", "784-10x512-10"
std::string joined(const std::vector<std::int64_t>& nodes);

}  // namespace grapes::bench
