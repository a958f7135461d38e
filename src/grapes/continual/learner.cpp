#include "grapes/continual/learner.h"

#include "grapes/base/interrupt.h"
#include "grapes/base/table.h"
#include "grapes/continual/movement.h"
#include "grapes/kernels/threads.h"
#include "grapes/train/checkpoint.h"
#include "grapes/train/layers.h"
#include "grapes/train/metrics.h"
#include "grapes/train/step.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <numeric>

namespace grapes::continual {
using record::Json;
using train::Tensors;
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double mean(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

/// Where a checkpoint stands among the tasks. @throws DataError
Json position(const Tensors& checkpoint, const std::string& file) {
  const auto found = checkpoint.metadata.find("continual");
  if (found == checkpoint.metadata.end())
    throw DataError(file + ": the entry 'continual' is missing: not a checkpoint of a run with several tasks");
  Json where = Json::parse(found->second, nullptr, false);
  if (!where.is_object() || !where.contains("task") || !where["task"].is_number_integer() ||
      !where.contains("under_way") || !where.contains("curve") || !where.contains("seconds"))
    throw DataError(file + ": the entry 'continual' cannot be understood");
  return where;
}

class Learner {
 public:
  Learner(const Course& course, const train::Keep* keep, const train::Watch& watch)
      : course_(course),
        setting_(course.setting),
        scenario_(course.setting.scenario),
        keep_(keep),
        watch_(watch),
        tasks_(static_cast<std::int64_t>(scenario_.tasks.size())),
        row_(find_row(methods(), "method", course.setting.options.method)),
        method_(row_.make(course.setting)),
        movement_(course.setting) {
    new_optimizer();
  }

  void restore(const Tensors& content, const std::string& file) {
    at_ = train::unpack(content, subject(), file);
    const Json where = position(content, file);
    task_ = where.at("task");
    under_way_ = where.at("under_way");
    curve_ = where.at("curve");
    seconds_ = where.at("seconds");
    for (const auto& [name, value] : state()) {
      const auto found = content.tensors.find(name);
      if (found == content.tensors.end() || found->second.sizes() != value.sizes())
        throw DataError(file + ": the tensor '" + name + "' is missing, or not what this run needs");
      at::Tensor(value).copy_(found->second);
    }
    if (under_way_) method_->begin(task_);
  }

  record::Status run() {
    const kernels::FlushDenormals flush;
    if (at_.step == 0 && !under_way_) before_training();
    for (; task_ < tasks_; end_task()) {
      if (!under_way_) begin_task();
      while (at_.epoch < course_.training.epochs)
        if (!epoch()) return end();
    }
    status_.state = record::State::finished;
    return end();
  }

 private:
  train::Subject subject() {
    return {setting_.model, setting_.criterion, *optimizer_, *schedule_, course_.optimizer.learning_rate};
  }

  void new_optimizer() {
    optimizer_ = optim::make_optimizer(course_.optimizer, nn::learning(setting_.model));
    schedule_ = optim::make_schedule(course_.training.schedule, course_.training.warm_up, course_.training.epochs);
  }

  void before_training() {
    Json row = {{"epoch", 0},
                {"step", 0},
                {"learning_rate", course_.optimizer.learning_rate},
                {"scenario", scenario_.manifest["scenario"]},
                {"method", row_.name},
                {"optimizer_state", setting_.options.optimizer_state},
                {"epochs", course_.training.epochs}};
    evaluate_into(row, 0);
    write(row);
  }

  void begin_task() {
    if (task_ > 0 && setting_.options.optimizer_state == "reset") new_optimizer();
    schedule_ = optim::make_schedule(course_.training.schedule, course_.training.warm_up, course_.training.epochs);
    at_.epoch = at_.batch = 0;
    curve_ = Json::array();
    seconds_ = 0;
    movement_.begin();
    method_->begin(task_);
    under_way_ = true;
  }

  /// The examples of the epoch under way, in the order in which they are seen.
  at::Tensor order() const {
    const std::int64_t epochs = course_.training.epochs;
    return row_.joint ? order_of_all(scenario_, task_ * epochs + at_.epoch, setting_.seed)
                      : order_of_task(scenario_, task_, at_.epoch, epochs, setting_.seed);
  }

  /// The rest of an epoch, from at_.batch. @return false if it ended early
  bool epoch() {
    const auto start = Clock::now();
    auto told = start;
    const at::Tensor order = this->order();
    const std::int64_t size = course_.training.batch, batches = (order.size(0) + size - 1) / size;
    const std::int64_t batches_of_task = batches * course_.training.epochs;
    train::Metrics metrics(*scenario_.tasks[static_cast<std::size_t>(task_)].train);
    metrics.loss_sum = at_.loss_sum;
    metrics.score_sum = at_.score_sum;
    metrics.counted = at_.counted;
    metrics.samples = static_cast<std::int64_t>(at_.counted);
    const std::int64_t samples_before = metrics.samples;
    double evaluating = 0;  // seconds
    const std::int64_t done_before = task_ * course_.training.epochs + at_.epoch;

    for (; at_.batch < batches; ++at_.batch, ++at_.step) {
      if (const int signal = interrupt::pending()) {
        seconds_ += seconds_since(start) - evaluating;
        return interrupted(signal, batches);
      }
      const std::int64_t begin = at_.batch * size, count = std::min(size, order.size(0) - begin);
      const Lesson lesson =
          make_lesson(scenario_, method_->examples(order.narrow(0, begin, count), at_.step), at_.step, setting_.seed);
      train::StepUse use;
      use.rate = course_.optimizer.learning_rate *
                 schedule_->multiple(static_cast<double>(at_.epoch) +
                                     static_cast<double>(at_.batch) / static_cast<double>(batches));
      if (scenario_.heads.defined())
        use.answers = [&](const at::Tensor& logits) { return answers(scenario_, logits, lesson.tasks); };
      use.extra_loss = [&](const at::Tensor& logits) { return method_->loss(lesson, logits); };
      if (method_->watches()) use.gradients = [&] { method_->gradient(); };
      if (at_.batch + 1 == batches) use.gradient_norms = &gradient_norms_;
      train::StepResult result;
      train::Subject subject = this->subject();
      try {
        result = train::step(subject, lesson.batch, pass(), use);
      } catch (const c10::ValueError& error) {
        optimizer_->settle();
        return diverged(error.what_without_backtrace());
      }
      if (!std::isfinite(result.loss)) return diverged(fmt::format("the loss is {}", result.loss));
      if (method_->watches()) method_->updated();
      metrics.add(result.loss, result.logits, lesson.batch);  // the largest logit is the largest probability
      at_.loss_sum = metrics.loss_sum;
      at_.score_sum = metrics.score_sum;
      at_.counted = metrics.counted;
      const std::int64_t now = at_.epoch * batches + at_.batch + 1, points = setting_.options.curve_points;
      if (now < batches_of_task && now * points / batches_of_task > (now - 1) * points / batches_of_task) {
        const auto pause = Clock::now();
        curve_.push_back({{"step", at_.step + 1},
                          {"part", static_cast<double>(now) / static_cast<double>(batches_of_task)},
                          {"test", accuracies(&Task::test, task_ + 1, setting_.options.curve_examples)}});
        evaluating += seconds_since(pause);
      }
      if (watch_ && seconds_since(told) > 0.1) {
        told = Clock::now();
        watch_({done_before + 1, tasks_ * course_.training.epochs, at_.batch + 1, batches, metrics.loss(),
                metrics.score(),
                static_cast<double>(metrics.samples - samples_before) / (seconds_since(start) - evaluating), nullptr});
      }
    }
    seconds_ += seconds_since(start) - evaluating;
    ++at_.epoch;
    at_.batch = 0;
    last_loss_ = metrics.loss();
    last_score_ = metrics.score();
    at_.loss_sum = at_.score_sum = at_.counted = 0;
    schedule_->observe(last_loss_);
    if (at_.epoch < course_.training.epochs && at_.epoch % course_.training.checkpoint_every == 0) checkpoint();
    return true;
  }

  nn::Pass pass() const {
    nn::Pass pass;
    pass.training = true;
    pass.seed = setting_.seed;
    pass.step = at_.step;
    return pass;
  }

  void end_task() {
    method_->end(task_);
    Json row = {{"epoch", task_ + 1},
                {"step", at_.step},
                {"learning_rate", course_.optimizer.learning_rate},
                {"train_loss", last_loss_},
                {"train_accuracy", last_score_},
                {"seconds", seconds_},
                {"curve", curve_}};
    row["layers"] = train::describe_layers(setting_.model, gradient_norms_, false);
    row["movement"] = movement_.end(task_);
    evaluate_into(row, task_ + 1);
    write(row);
    ++task_;
    under_way_ = false;
    checkpoint();
    if (keep_ != nullptr) keep_->writer.status(status());
  }

  /// Accuracy on each of the first `count` tasks. @param most  examples of each, from all over it; 0: all
  std::vector<double> accuracies(data::DatasetPtr Task::*part, std::int64_t count, std::int64_t most = 0) {
    std::vector<double> all;
    for (std::int64_t k = 0; k < count; ++k) {
      data::DatasetPtr examples = scenario_.tasks[static_cast<std::size_t>(k)].*part;
      if (most > 0 && most < examples->size())
        examples = data::subset(examples, at::floor_divide(at::arange(most, at::kLong) * examples->size(), most));
      const at::Tensor task = at::tensor({k}, at::kLong);
      const train::View view = [&](const at::Tensor& logits) { return answers(scenario_, logits, task); };
      all.push_back(train::evaluate(setting_.model, *examples, setting_.criterion, 1024, view).score);
    }
    return all;
  }

  /// "test_tasks" on every task; "test_accuracy", its mean over the first `learnt` tasks, or before training over all.
  /// On validation examples only at the end, to choose by.
  void evaluate_into(Json& row, std::int64_t learnt) {
    const auto start = Clock::now();
    const auto add = [&](const std::string& name, data::DatasetPtr Task::*part) {
      const data::DatasetPtr& first = scenario_.tasks.front().*part;
      if (!first || first->size() == 0) return;
      std::vector<double> all = accuracies(part, tasks_);
      row[name + "_tasks"] = all;
      if (learnt > 0) all.resize(static_cast<std::size_t>(learnt));
      row[name + "_accuracy"] = mean(all);
    };
    add("test", &Task::test);
    if (learnt == tasks_) add("validation", &Task::validation);
    row["evaluation_seconds"] = seconds_since(start);
  }

  void write(const Json& row) {
    if (keep_ != nullptr) {
      keep_->writer.epoch(row);
      std::string line = fmt::format("task {}/{}", row["epoch"].get<std::int64_t>(), tasks_);
      for (const char* const key : {"train_loss", "train_accuracy", "test_accuracy", "validation_accuracy", "seconds"})
        if (row.contains(key)) line += fmt::format(", {} {:.5g}", key, row[key].get<double>());
      keep_->writer.log(line);
    }
    if (!watch_) return;
    train::Moment moment;
    moment.epoch = row["epoch"].get<std::int64_t>() * course_.training.epochs;
    moment.epochs = tasks_ * course_.training.epochs;
    moment.loss = row.value("train_loss", 0.0);
    moment.score = row.value("train_accuracy", 0.0);
    moment.finished = &row;
    watch_(moment);
  }

  std::vector<Method::State> state() const {
    std::vector<Method::State> all;
    for (const auto& [name, value] : method_->state()) all.push_back({"method." + name, value});
    for (const auto& [name, value] : movement_.state()) all.push_back({"movement." + name, value});
    return all;
  }

  void checkpoint() {
    if (keep_ == nullptr || !keep_->checkpoints) return;
    Tensors content = train::pack(subject(), at_);
    content.metadata.insert(keep_->metadata.begin(), keep_->metadata.end());
    content.tensors.insert(keep_->tensors.begin(), keep_->tensors.end());
    for (const auto& [name, value] : state()) content.tensors[name] = value.detach().cpu();
    const Json where = {{"task", task_}, {"under_way", under_way_}, {"curve", curve_}, {"seconds", seconds_}};
    content.metadata["continual"] = where.dump();
    train::write_safetensors(keep_->writer.folder() / "checkpoints" / "last.safetensors", content);
  }

  bool interrupted(int signal, std::int64_t batches) {
    checkpoint();
    status_.state = record::State::interrupted;
    status_.message =
        fmt::format("stopped by {} in task {}, epoch {}, after batch {} of {}", signal == SIGINT ? "SIGINT" : "SIGTERM",
                    task_ + 1, at_.epoch + 1, at_.batch, batches);
    return false;
  }

  bool diverged(const std::string& why) {
    status_.state = record::State::diverged;
    status_.message =
        fmt::format("diverged in task {}, epoch {}, batch {}: {}", task_ + 1, at_.epoch + 1, at_.batch + 1, why);
    return false;
  }

  record::Status status() const {
    record::Status status = status_;
    status.epoch = task_;
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

  const Course course_;
  const Setting& setting_;
  const Scenario& scenario_;
  const train::Keep* keep_;
  const train::Watch& watch_;
  const std::int64_t tasks_;
  const MethodRow& row_;
  std::unique_ptr<Method> method_;
  Movement movement_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::unique_ptr<optim::Schedule> schedule_;

  std::int64_t task_ = 0;   // tasks done
  bool under_way_ = false;  // the next one has begun
  train::Position at_;      // in it; steps are counted over all
  Json curve_ = Json::array();
  double seconds_ = 0;  // of training in this task
  double last_loss_ = 0, last_score_ = 0;
  std::vector<double> gradient_norms_;
  record::Status status_;
};

}  // namespace

record::Status learn(const Course& course, const std::optional<std::pair<Tensors, std::string>>& checkpoint,
                     const train::Keep* keep, const train::Watch& watch) {
  Learner learner(course, keep, watch);
  if (checkpoint) learner.restore(checkpoint->first, checkpoint->second);
  return learner.run();
}

std::int64_t last_row(const Tensors& checkpoint, const std::string& file) {
  return position(checkpoint, file)["task"].get<std::int64_t>();
}

}  // namespace grapes::continual
