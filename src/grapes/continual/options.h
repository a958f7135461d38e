#pragma once

#include <cstdint>
#include <string>

namespace grapes::continual {

/// Options of continual learning.
struct Options {
  std::string scenario = "none";  ///< a name in scenarios(); none: one task, and the other options have no effect
  std::int64_t tasks = 5;
  std::string manifest;  ///< a file that defines the tasks, instead of the seed
  double blur = 0;       ///< fraction of each task's training examples that is mixed with those of the others
  std::string optimizer_state =
      "reset";  ///< state of the optimizer at the start of a task: "reset", or "kept" from the previous task
  std::int64_t curve_points = 5;       ///< number of evaluations within a task, including its end
  std::int64_t curve_examples = 1000;  ///< number of test examples of every task so far in each

  // The strengths were the best on validation examples of permuted MNIST, see
  // experiments/continual-permuted-mnist.toml. Those of the papers belong to other optimizers and lengths of training.
  std::string method = "none";         ///< a name in methods()
  double ewc_strength = 10;            ///< λ
  double ewc_decay = 1;                ///< γ of online-ewc
  std::int64_t fisher_examples = 200;  ///< per task, for the Fisher estimate of ewc and online-ewc; 0: all
  std::string fisher_classes =
      "drawn";                        ///< of that estimate: "drawn" from p, or "true", each weighted by its probability
  double si_strength = 30;            ///< c
  double si_damping = 0.1;            ///< ξ
  double lwf_strength = 0.3;          ///< λ_o
  double lwf_temperature = 2;         ///< T
  std::int64_t replay_buffer = 1000;  ///< number of stored examples
  std::int64_t replay_batch = 0;      ///< stored examples per draw; 0: as many as the batch has
  double der_alpha = 0.5;             ///< α, of the stored logits
  double der_beta = 0.5;              ///< β of der++, of the stored examples' own loss
};

}  // namespace grapes::continual
