#pragma once

#include "grapes/data/open.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"
#include "grapes/optim/optimizer.h"
#include "grapes/optim/schedule.h"
#include "grapes/record/record.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

/// The one place where the two flows meet: weights -> factors -> error -> update, and data -> loss -> record.
namespace grapes::train {

struct Options {
  std::int64_t epochs = 10;
  std::int64_t batch = 64;
  std::string loss = "auto";  ///< a row of nn::losses(); auto: cross-entropy for classes, mse for numbers
  std::string schedule = "constant";
  double warm_up = 0;         ///< epochs
  std::uint64_t seed = 1;     ///< root of every random stream of the run
  std::int64_t patience = 0;  ///< evaluated epochs without a better validation score after which training ends and
                              ///< the best epoch counts; 0: never
  std::int64_t checkpoint_every = 1;  ///< epochs; the last epoch and an interruption always write one
  std::int64_t evaluate_every = 1;    ///< epochs between evaluations on validation and test data
  // Oddities of the authors' program, off by default; `grapes replay` sets them.
  bool factors_at_rest = false;  ///< under NAG take the factors from W, not from the look-ahead weights
  bool carry_remainder = false;  ///< the last, smaller batch of an epoch makes no update; its gradient joins the next
};

/// Told to whoever watches, a few times a second at most in the middle of an epoch, and at the end of each.
struct Moment {
  std::int64_t epoch = 0, epochs = 0;  ///< the epoch being done, from 1
  std::int64_t batch = 0, batches = 0;
  double loss = 0, score = 0;  ///< running mean of this epoch, training
  double samples_per_second = 0;
  const record::Json* finished = nullptr;  ///< the epoch's row, at its end (epoch 0: before training)
};
using Watch = std::function<void(const Moment&)>;

nn::Signature signature_of(const data::DatasetInfo& info);

/// A trained or half-trained run: everything that changes while it trains.
struct Subject {
  nn::Network& model;
  const nn::Criterion& criterion;
  optim::Optimizer& optimizer;
  optim::Schedule& schedule;
  double learning_rate;  ///< base rate
};

/// Where a run stands: what a checkpoint holds besides tensors.
struct Position {
  std::int64_t epoch = 0;              ///< epochs completed
  std::int64_t batch = 0;              ///< batches done in the next one
  std::int64_t step = 0;               ///< batches done in all
  double loss_sum = 0, score_sum = 0;  ///< of the epoch under way, see Metrics
  double best = -1e300;                ///< best validation score so far
  std::int64_t best_epoch = 0;         ///< and its epoch
  double counted = 0;                  ///< see Metrics
  bool carried = false;                ///< gradients of a remainder wait in .grad
};

/// What a run leaves behind while it goes.
struct Keep {
  record::Writer& writer;
  bool checkpoints = true;
  std::map<std::string, std::string> metadata;  ///< for every checkpoint: "config", "dataset"
  std::map<std::string, at::Tensor> tensors;    ///< for every checkpoint: "input.shift", "input.scale"
};

/// Train until all epochs are done, the loss is no longer finite, or a signal came. Metrics, checkpoints and status go
/// to `keep` as it goes (null: nowhere). An outcome, never an exception, for divergence and signals.
record::Status train(Subject subject, const data::Splits& splits, const Options& options, Position position,
                     const Keep* keep, const Watch& watch);

/// Some of a network's logits, [batch, outputs] -> [batch, answers]; empty: all of them.
using View = std::function<at::Tensor(const at::Tensor& logits)>;

/// Loss and score of a model on a data set, in evaluation mode.
struct Evaluation {
  double loss = 0;
  double score = 0;                     ///< see Metrics
  std::vector<std::int64_t> confusion;  ///< classes × classes, row = truth; empty for regression
};
Evaluation evaluate(nn::Network& model, const data::Dataset& dataset, const nn::Criterion& criterion,
                    std::int64_t batch = 1024, const View& answers = {});

}  // namespace grapes::train
