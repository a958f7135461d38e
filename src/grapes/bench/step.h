#pragma once

#include "grapes/bench/turns.h"
#include "grapes/data/dataset.h"
#include "grapes/nn/network.h"
#include "grapes/optim/optimizer.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::bench {

/// A training step of a network, on one batch that comes again and again.
struct Step {
  Timing labels;
  nn::Options network;
  data::DatasetInfo info;
  data::Batch batch;
  optim::Options optimizer = {};
  double rate = 1e-5;     ///< small: a batch that comes a hundred thousand times must not be learned by heart
  bool fused_sgd = true;  ///< see train::StepOptions
};

/// The same step by backpropagation and by GRAPES.
std::vector<Step> under_both_rules(const Step& step);

/// How far the weights may be from those of the plain reference.
struct Agreement {
  double allowed = 2e-6;
  bool of_update = false;  ///< `allowed` is a part of the norm of what was learned; else a largest absolute difference
  int steps = 1;
  std::int64_t examples = 0;  ///< only so many of the batch: a reference may be slow; 0: all
};
/// @throws RunError if a fused step does not equal its plain reference: then there is nothing to time
void require_equal_to_reference(const std::vector<Step>& steps, const Agreement& agreement);

/// The steps as things to time, labeled with the memory they take.
std::vector<Arm> arms(const std::vector<Step>& steps);

/// Classes for a batch, one after the other.
at::Tensor classes_in_turn(std::int64_t batch, std::int64_t classes);

/// "784-256-256-10", "784-10x512-10"
std::string joined(const std::vector<std::int64_t>& nodes);

}  // namespace grapes::bench
