#include "grapes/train/trainer.h"

#include "grapes/base/interrupt.h"
#include "grapes/data/prefetcher.h"
#include "grapes/data/sampler.h"
#include "grapes/kernels/threads.h"
#include "grapes/train/checkpoint.h"
#include "grapes/train/layers.h"
#include "grapes/train/metrics.h"
#include "grapes/train/samples.h"
#include "grapes/train/step.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>

namespace grapes::train {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Batches are prepared ahead once an epoch spent more than this part of its time on preparing them, and more than this
/// many seconds on each: to hand one from thread to thread takes about half of that.
constexpr double worth_a_thread = 0.1, worth_handing_over = 1e-4;

/// One run while it trains.
class Training {
 public:
  Training(Subject subject, const data::Splits& splits, const Options& options, Position position, const Keep* keep,
           const Watch& watch)
      : subject_(subject),
        splits_(splits),
        options_(options),
        at_(position),
        keep_(keep),
        watch_(watch),
        score_name_(score_name(splits.info.problem)),
        samples_(splits.train->size()),
        batches_((samples_ + options.batch - 1) / options.batch) {}

  record::Status run() {
    const kernels::FlushDenormals flush;
    if (at_.step == 0 && at_.epoch == 0) before_training();
    while (at_.epoch < options_.epochs && !patience_spent())
      if (!epoch()) return end();
    status_.state = record::State::finished;
    if (keep_ != nullptr)
      if (const record::Json seen = samples(subject_.model, splits_, subject_.criterion); !seen.is_null())
        keep_->writer.samples(seen);
    if (options_.patience > 0) status_.counts = at_.best_epoch;
    return end();
  }

 private:
  bool patience_spent() const { return options_.patience > 0 && at_.epoch - at_.best_epoch >= options_.patience; }

  void before_training() {
    // A pass without update: the factors the first batch will use belong to the record of the start.
    const at::NoGradGuard no_grad;
    const data::Batch first = splits_.train->get(at::zeros({1}, at::kLong));
    nn::Pass pass = this->pass();
    pass.present = first.present;
    subject_.model.forward(first.inputs, pass);
    record::Json row = {{"epoch", 0}, {"step", 0}, {"learning_rate", rate(0)}};
    evaluate_into(row);
    row["layers"] = describe_layers(subject_.model, {}, true);
    write(row);
  }

  nn::Pass pass() const {
    nn::Pass pass;
    pass.training = true;
    pass.seed = options_.seed;
    pass.step = at_.step;
    return pass;
  }

  double rate(double epoch) const { return subject_.learning_rate * subject_.schedule.multiple(epoch); }

  std::int64_t examples_in(std::int64_t batch) const {
    return std::min(options_.batch, samples_ - batch * options_.batch);
  }

  /// The rest of an epoch, from at_.batch. @return false if it ended early
  bool epoch() {
    const auto start = Clock::now();
    auto told = start;
    const at::Tensor order =
        splits_.shuffle ? data::shuffled_order(samples_, options_.seed, at_.epoch) : data::file_order(samples_);
    Metrics metrics(*splits_.train);
    metrics.loss_sum = at_.loss_sum;
    metrics.score_sum = at_.score_sum;
    metrics.counted = at_.counted;
    metrics.samples = std::min(at_.batch * options_.batch, samples_);
    const std::int64_t samples_before = metrics.samples;
    double preparing = 0;  // seconds
    const double rate_at_start = rate(static_cast<double>(at_.epoch));

    const auto make = [this, &order, epoch = static_cast<std::uint64_t>(at_.epoch)](std::int64_t number) {
      const kernels::FlushDenormals flush;  // as on the thread that trains: the same bits wherever it is made
      const std::int64_t begin = number * options_.batch;
      return splits_.train->get(order.narrow(0, begin, examples_in(number)),
                                stream_seed(options_.seed, "augment", epoch, static_cast<std::uint64_t>(begin)));
    };
    data::Prefetcher batches(make, at_.batch, batches_, ahead_ ? 1 : 0);

    for (; at_.batch < batches_; ++at_.batch, ++at_.step) {
      if (const int signal = interrupt::pending()) return interrupted(signal);
      const std::int64_t count = examples_in(at_.batch);
      const auto asked = Clock::now();
      const data::Batch batch = batches.next();
      preparing += seconds_since(asked);
      StepUse use;
      use.rate = rate(static_cast<double>(at_.epoch) + static_cast<double>(at_.batch) / static_cast<double>(batches_));
      use.factors_at_rest = options_.factors_at_rest;
      use.carried = at_.carried;
      if (options_.carry_remainder && count < options_.batch) {
        use.update = false;
        use.weight = static_cast<double>(count) / static_cast<double>(options_.batch);
      }
      if (at_.batch + 1 == batches_) use.gradient_norms = &gradient_norms_;
      StepResult result;
      try {
        result = step(subject_, batch, pass(), use);
      } catch (const c10::ValueError& error) {
        subject_.optimizer.settle();
        return diverged(error.what_without_backtrace());
      }
      if (!std::isfinite(result.loss)) return diverged(fmt::format("the loss is {}", result.loss));
      at_.carried = !use.update;
      // The largest logit is the largest probability.
      const bool classes = splits_.info.problem == data::ProblemKind::classification;
      metrics.add(result.loss, classes ? result.logits : subject_.criterion.prediction(result.logits), batch);
      at_.loss_sum = metrics.loss_sum;
      at_.score_sum = metrics.score_sum;
      at_.counted = metrics.counted;
      if (watch_ && seconds_since(told) > 0.1) {
        told = Clock::now();
        watch_({at_.epoch + 1, options_.epochs, at_.batch + 1, batches_, metrics.loss(), metrics.score(),
                static_cast<double>(metrics.samples - samples_before) / seconds_since(start), nullptr});
      }
    }
    const double seconds = seconds_since(start);
    ahead_ =
        ahead_ || preparing > std::max(worth_a_thread * seconds, worth_handing_over * static_cast<double>(batches_));
    ++at_.epoch;
    at_.batch = 0;
    at_.loss_sum = at_.score_sum = at_.counted = 0;
    record::Json row = {{"epoch", at_.epoch},
                        {"step", at_.step},
                        {"learning_rate", rate_at_start},
                        {"train_loss", metrics.loss()},
                        {"train_" + score_name_, metrics.score()},
                        {"seconds", seconds}};
    finish_epoch(row, metrics.loss());
    return true;
  }

  void finish_epoch(record::Json& row, double train_loss) {
    bool last = at_.epoch == options_.epochs;
    const bool evaluated = last || at_.epoch % options_.evaluate_every == 0;
    if (evaluated) evaluate_into(row);
    subject_.schedule.observe(row.value("validation_loss", train_loss));
    row["layers"] = describe_layers(subject_.model, gradient_norms_, evaluated);
    write(row);
    const auto score = row.find("validation_" + score_name_);
    if (score != row.end() && score->get<double>() > at_.best) {
      at_.best = score->get<double>();
      at_.best_epoch = at_.epoch;
      checkpoint("best");
    }
    last = last || patience_spent();
    if (last || at_.epoch % options_.checkpoint_every == 0) checkpoint("last");
    if (keep_ != nullptr) keep_->writer.status(status());
  }

  void evaluate_into(record::Json& row) {
    const auto start = Clock::now();
    const std::pair<const char*, const data::DatasetPtr&> parts[] = {{"validation", splits_.validation},
                                                                     {"test", splits_.test}};
    for (const auto& [name, part] : parts) {
      if (!part || part->size() == 0) continue;
      const Evaluation evaluation = evaluate(subject_.model, *part, subject_.criterion);
      row[std::string(name) + "_loss"] = evaluation.loss;
      row[std::string(name) + "_" + score_name_] = evaluation.score;
    }
    row["evaluation_seconds"] = seconds_since(start);
  }

  void write(const record::Json& row) {
    if (keep_ != nullptr) {
      keep_->writer.epoch(row);
      std::string line = fmt::format("epoch {}/{}", row["epoch"].get<std::int64_t>(), options_.epochs);
      for (const auto& [key, value] : row.items())
        if (key.ends_with("_loss") || key.ends_with(score_name_) || key == "seconds")
          line += fmt::format(", {} {:.5g}", key, value.get<double>());
      keep_->writer.log(line);
    }
    if (watch_) {
      Moment moment;
      moment.epoch = at_.epoch;
      moment.epochs = options_.epochs;
      moment.batch = moment.batches = batches_;
      moment.loss = row.value("train_loss", 0.0);
      moment.score = row.value("train_" + score_name_, 0.0);
      moment.finished = &row;
      watch_(moment);
    }
  }

  void checkpoint(const char* name) {
    if (keep_ == nullptr || !keep_->checkpoints) return;
    Tensors content = pack(subject_, at_);
    content.metadata.insert(keep_->metadata.begin(), keep_->metadata.end());
    content.tensors.insert(keep_->tensors.begin(), keep_->tensors.end());
    write_safetensors(keep_->writer.folder() / "checkpoints" / (std::string(name) + ".safetensors"), content);
  }

  bool interrupted(int signal) {
    checkpoint("last");
    status_.state = record::State::interrupted;
    status_.message = fmt::format("stopped by {} in epoch {}, after batch {} of {}",
                                  signal == SIGINT ? "SIGINT" : "SIGTERM", at_.epoch + 1, at_.batch, batches_);
    return false;
  }

  bool diverged(const std::string& why) {
    status_.state = record::State::diverged;
    status_.message = fmt::format("diverged in epoch {}, batch {}: {}", at_.epoch + 1, at_.batch + 1, why);
    return false;
  }

  record::Status status() const {
    record::Status status = status_;
    status.epoch = at_.epoch;
    status.step = at_.step;
    return status;
  }

  record::Status end() {
    if (keep_ != nullptr) {
      if (!status_.message.empty()) keep_->writer.log(status_.message);
      keep_->writer.finish(status());
    }
    return status();
  }

  Subject subject_;
  const data::Splits& splits_;
  const Options& options_;
  Position at_;
  const Keep* keep_;
  const Watch& watch_;
  const std::string score_name_;
  const std::int64_t samples_, batches_;
  bool ahead_ = false;  // batches are prepared on a thread of their own: the same batches
  std::vector<double> gradient_norms_;
  record::Status status_;
};

}  // namespace

nn::Signature signature_of(const data::DatasetInfo& info) {
  return {info.input_shape, info.outputs, info.sequence, info.problem == data::ProblemKind::prediction};
}

record::Status train(Subject subject, const data::Splits& splits, const Options& options, Position position,
                     const Keep* keep, const Watch& watch) {
  return Training(subject, splits, options, position, keep, watch).run();
}

Evaluation evaluate(nn::Network& model, const data::Dataset& dataset, const nn::Criterion& criterion,
                    std::int64_t batch, const View& answers) {
  const at::NoGradGuard no_grad;
  const bool classes = dataset.info().problem == data::ProblemKind::classification;
  const std::int64_t n = dataset.size(), outputs = dataset.info().outputs;
  Metrics metrics(dataset);
  Evaluation evaluation;
  if (classes) evaluation.confusion.assign(static_cast<std::size_t>(outputs * outputs), 0);
  for (std::int64_t begin = 0; begin < n; begin += batch) {
    const data::Batch part = dataset.get(at::arange(begin, std::min(n, begin + batch), at::kLong));
    nn::Pass pass;
    pass.step = begin;  // encoders that draw show every example anew, and alike in every evaluation
    pass.present = part.present;
    const at::Tensor all = model.forward(part.inputs, pass);
    const at::Tensor logits = answers ? answers(all) : all;
    const at::Tensor prediction = criterion.prediction(logits).cpu();
    metrics.add(criterion.loss(logits, part.targets, part.present).item<double>(), prediction, part);
    if (!classes) continue;
    const at::Tensor cells = (part.targets * outputs + prediction.argmax(1)).contiguous();
    for (std::int64_t i = 0; i < cells.size(0); ++i)
      ++evaluation.confusion[static_cast<std::size_t>(cells.data_ptr<std::int64_t>()[i])];
  }
  evaluation.loss = metrics.loss();
  evaluation.score = metrics.score();
  return evaluation;
}

}  // namespace grapes::train
