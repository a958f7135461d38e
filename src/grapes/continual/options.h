#pragma once

#include <cstdint>
#include <string>

namespace grapes::continual {

/// Every key of the command line that concerns learning one task after the other.
struct Options {
  std::string scenario = "none";  ///< a row of scenarios(); none: there is one task, and nothing here counts
  std::int64_t tasks = 5;
  std::string manifest;                   ///< a file that says what the tasks are, in place of the seed
  std::string optimizer_state = "reset";  ///< what a task begins with: "reset", or "kept" from the one before
  std::int64_t curve_points = 5;          ///< evaluations within a task, its end among them
  std::int64_t curve_examples = 1000;     ///< each on so many test examples of every task so far

  // The strengths are those that did best on validation examples of permuted MNIST, see
  // experiments/continual-permuted-mnist.toml; the papers' own go with other optimizers and lengths of training.
  std::string method = "none";         ///< a row of methods(): what is done against forgetting
  double ewc_strength = 10;            ///< λ
  std::int64_t fisher_examples = 200;  ///< of a task, from which ewc estimates what matters to it
  double si_strength = 30;             ///< c
  double si_damping = 0.1;             ///< ξ
  double lwf_strength = 0.3;           ///< λ_o
  double lwf_temperature = 2;          ///< T
  std::int64_t replay_buffer = 1000;   ///< examples
};

}  // namespace grapes::continual
