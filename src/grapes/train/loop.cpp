#include "grapes/train/loop.h"

#include "grapes/base/interrupt.h"
#include "grapes/base/random.h"
#include "grapes/base/stopwatch.h"
#include "grapes/data/prefetcher.h"
#include "grapes/data/sampler.h"
#include "grapes/kernels/threads.h"
#include "grapes/train/checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <utility>

namespace grapes::train {
namespace {

/// Batches are prepared on another thread if an epoch spends more than this fraction of its time on them, and more than
/// this many seconds on each. Passing a batch between threads takes about half of that.
constexpr double worth_a_thread = 0.1, worth_handing_over = 1e-4;

record::Status outcome(record::State state, std::string message = "") {
  record::Status status;
  status.state = state;
  status.message = std::move(message);
  return status;
}

}  // namespace

Epoch epoch_of(const data::Dataset& examples, bool shuffle, const Options& options, std::int64_t epoch) {
  const std::int64_t n = examples.size();
  const at::Tensor order = shuffle ? data::shuffled_order(n, options.seed, epoch) : data::file_order(n);
  return {order.split(options.batch_size), [&, epoch](const at::Tensor& rows, std::int64_t index) {
            return examples.get(rows, stream_seed(options.seed, "augment", static_cast<std::uint64_t>(epoch),
                                                  static_cast<std::uint64_t>(index * options.batch_size)));
          }};
}

Loop::Loop(TrainState& state, const Options& options, const data::Dataset& examples, LoopCallbacks callbacks,
           RunWriter writer, ProgressCallback on_progress, dist::Group* group)
    : state_(state),
      options_(options),
      examples_(examples),
      callbacks_(std::move(callbacks)),
      writer_(std::move(writer)),
      on_progress_(std::move(on_progress)) {
  if (group != nullptr || options.accumulate > 1) sharing_.emplace(*state.model, group, options.accumulate);
}

record::Status Loop::run(const std::string& place) {
  const kernels::FlushDenormals flush;
  record::Status status = outcome(record::State::finished);
  while (status.state == record::State::finished && !done()) status = epoch(place);
  status.epoch = state_.progress.epoch;
  status.step = state_.progress.step;
  return status;
}

int Loop::signal() const { return sharing_ ? sharing_->signal() : interrupt::pending(); }

bool Loop::done() const {
  const Progress& at = state_.progress;
  return at.epoch >= options_.epochs || (options_.patience > 0 && at.epoch - at.best_epoch >= options_.patience);
}

StepOptions Loop::options_of(const data::Batch& batch, const Share& share, std::int64_t part, std::int64_t batches) {
  const Progress& at = state_.progress;
  StepOptions options;
  options.rate = rate(static_cast<double>(at.epoch) + static_cast<double>(at.batch) / static_cast<double>(batches));
  options.factors_at_rest = options_.factors_at_rest;
  options.carried = at.carried;
  const std::int64_t count = batch.inputs.size(0);
  if (sharing_) {
    options.sharing = &*sharing_;
    options.update = part + 1 == sharing_->parts();
    options.weight = share.weight;
    // The loss of a prediction is a mean over time steps.
    if (examples_.info().problem == data::ProblemKind::prediction)
      options.weight *= batch.present.defined() ? batch.present.sum().item<double>() / static_cast<double>(count)
                                                : static_cast<double>(batch.targets.size(1));
  }
  if (options_.carry_remainder && count < options_.batch_size) {
    options.update = false;
    options.weight = static_cast<double>(count) / static_cast<double>(options_.batch_size);
  }
  const bool whole = !sharing_ || part + 1 == sharing_->parts();  // the gradients of the batch are complete
  if (at.batch + 1 == batches && whole) {
    options.gradient_norms = &gradient_norms_;
    if (options_.record_dose) options.update_norms = &update_norms_;
  }
  return options;
}

record::Status Loop::epoch(const std::string& place) {
  Progress& at = state_.progress;
  const Stopwatch watch;
  const double seconds_before = at.seconds;
  double making = 0, paused = 0, told = 0;  // seconds
  const Epoch epoch = callbacks_.epoch();
  const auto batches = static_cast<std::int64_t>(epoch.batches.size());
  const std::int64_t parts = sharing_ ? sharing_->parts() : 1;  // of a batch, in this process
  Metrics metrics(examples_, at.totals);
  const double rate_at_start = rate(static_cast<double>(at.epoch));
  const bool classes = examples_.info().problem == data::ProblemKind::classification;
  std::int64_t seen = 0;  // examples, of all processes

  const auto share = [&](std::int64_t number) {
    const at::Tensor& batch = epoch.batches[static_cast<std::size_t>(number / parts)];
    return sharing_ ? sharing_->share(batch, number % parts) : Share{batch};
  };
  const auto make = [&](std::int64_t number) {
    const kernels::FlushDenormals flush;  // as on the training thread, for the same bits on both
    return epoch.make(share(number).examples, number / parts);
  };
  data::Prefetcher prefetcher(make, at.batch * parts, batches * parts, prefetch_ ? 1 : 0);

  for (; at.batch < batches; ++at.batch, ++at.step) {
    if (const int signal = this->signal()) {
      at.seconds = seconds_before + watch.seconds() - paused;
      if (sharing_) at.totals = sharing_->sum(at.totals);
      checkpoint("last");
      return outcome(record::State::interrupted,
                     fmt::format("stopped by {} in {}epoch {}, after batch {} of {}",
                                 signal == SIGINT ? "SIGINT" : "SIGTERM", place, at.epoch + 1, at.batch, batches));
    }
    const auto diverged = [&](const std::string& why) {
      return outcome(record::State::diverged,
                     fmt::format("diverged in {}epoch {}, batch {}: {}", place, at.epoch + 1, at.batch + 1, why));
    };
    StepResult result;
    for (std::int64_t part = 0; part < parts; ++part) {
      const Stopwatch waiting;
      const data::Batch batch = prefetcher.next();
      making += waiting.seconds();
      const Share mine = share(at.batch * parts + part);

      nn::Pass pass;
      pass.seed = options_.seed;
      pass.step = at.step;
      pass.first = mine.first;
      pass.examples = mine.examples;
      if (options_.sync_batch_norm && sharing_) pass.together = sharing_->together(mine);
      StepOptions step_options = options_of(batch, mine, part, batches);
      if (callbacks_.before_step) callbacks_.before_step(batch, pass, step_options);
      try {
        result = step(state_, batch, pass, step_options);
      } catch (const c10::ValueError& error) {
        state_.optimizer->restore();
        return diverged(error.what_without_backtrace());
      }
      if (!sharing_ && !std::isfinite(result.loss)) return diverged(fmt::format("the loss is {}", result.loss));
      at.carried = !result.updated;
      if (mine.idle) continue;
      // The largest logit has the largest probability.
      const nn::Criterion& criterion = state_.criterion;
      const double loss = criterion.standardizes()
                              ? criterion.error(result.logits, batch.targets, batch.present).item<double>()
                              : result.loss;
      metrics.add(loss, classes ? result.logits : criterion.prediction(result.logits), batch);
    }
    if (sharing_ && !std::isfinite(sharing_->loss())) return diverged(fmt::format("the loss is {}", sharing_->loss()));
    at.totals = metrics.totals();
    if (sharing_ && (at.step + 1) % options_.check_every == 0) sharing_->check_weights(at.step + 1);
    if (callbacks_.after_step) {
      const Stopwatch pause;
      callbacks_.after_step(result);
      paused += pause.seconds();
    }
    seen += epoch.batches[static_cast<std::size_t>(at.batch)].size(0);
    if (on_progress_ && watch.seconds() - told > 0.1) {
      told = watch.seconds();
      on_progress_({at.epoch + 1, options_.epochs, at.batch + 1, batches, metrics.loss(), metrics.score(),
                    static_cast<double>(seen) / (watch.seconds() - paused)});
    }
  }
  const double seconds = watch.seconds() - paused;
  prefetch_ =
      prefetch_ || making > std::max(worth_a_thread * seconds, worth_handing_over * static_cast<double>(batches));
  if (sharing_) metrics = Metrics(examples_, sharing_->sum(metrics.totals())), sharing_->equalize_buffers();
  ++at.epoch;
  at.batch = 0;
  at.totals = {};
  at.seconds = 0;
  const bool evaluate = at.epoch == options_.epochs || at.epoch % options_.evaluate_every == 0;
  finish_epoch({metrics.loss(), metrics.score(), rate_at_start, seconds_before + seconds, evaluate, gradient_norms_,
                update_norms_});
  return outcome(record::State::finished);
}

void Loop::finish_epoch(const EpochResult& result) {
  Progress& at = state_.progress;
  const Validation validation = callbacks_.after_epoch ? callbacks_.after_epoch(result) : Validation();
  state_.schedule->observe(validation.loss.value_or(result.loss));
  if (validation.score && *validation.score > at.best) {
    at.best = *validation.score;
    at.best_epoch = at.epoch;
    checkpoint("best");
  }
  if (done() || at.epoch % options_.checkpoint_every == 0) checkpoint("last");
}

void Loop::checkpoint(const char* name) const {
  if (!writer_.writes_checkpoints()) return;
  Tensors content = train::pack(state_);
  if (callbacks_.pack) callbacks_.pack(content);
  writer_.checkpoint(name, std::move(content));
}

}  // namespace grapes::train
