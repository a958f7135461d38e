#pragma once

#include <cstdint>
#include <string>

/// The one place where the two flows meet: weights -> factors -> error -> update, and data -> loss -> record.
namespace grapes::train {

struct Options {
  std::int64_t epochs = 10;
  std::int64_t batch_size = 64;
  std::string loss = "auto";  ///< a row of nn::losses(); auto: cross-entropy for classes, mse for numbers
  std::string schedule = "constant";
  double warm_up = 0;         ///< epochs
  std::uint64_t seed = 1;     ///< root of every random stream of the run
  std::int64_t patience = 0;  ///< training ends after so many epochs without a better validation score, and the best
                              ///< epoch counts; 0: never
  std::int64_t checkpoint_every = 1;  ///< epochs; the last epoch and an interruption always write one
  std::int64_t evaluate_every = 1;    ///< epochs between evaluations on validation and test data; always after the last
  // Compatibility flags of the authors' program, off by default; the parity cases set them.
  bool factors_at_rest = false;  ///< under NAG take the factors from W, not from the look-ahead weights
  bool carry_remainder = false;  ///< the last, smaller batch of an epoch makes no update; its gradient joins the next
};

}  // namespace grapes::train
