#pragma once

#include "grapes/train/step.h"

#include <memory>

namespace grapes::experiment {

/// A network in training on one batch that comes again and again: what the benchmarks of whole steps time.
class Learner {
 public:
  struct Setting {
    nn::Options network;
    nn::Signature signature;
    nn::TargetKind targets = nn::TargetKind::classes;
    data::Batch batch;
    optim::Options optimizer = {};
    double rate = 1e-5;  ///< small: a batch that comes a hundred thousand times must not be learned by heart
    bool descend = true, plain = false;  ///< see train::StepUse
  };
  explicit Learner(Setting setting);
  void step();
  const nn::Network& model() const { return *model_; }

 private:
  Setting setting_;
  nn::Criterion criterion_;
  std::unique_ptr<nn::Network> model_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::unique_ptr<optim::Schedule> schedule_;
  std::int64_t steps_ = 0;
};

/// What is timed, by name and modulation.
inline constexpr const char* rules[][2] = {{"bp", "none"}, {"grapes", "grapes"}};

/// Classes for a batch, one after the other.
at::Tensor classes_in_turn(std::int64_t batch, std::int64_t classes);

}  // namespace grapes::experiment
