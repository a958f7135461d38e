#include "grapes/continual/learner.h"

#include "grapes/base/error.h"
#include "grapes/base/stopwatch.h"
#include "grapes/base/table.h"
#include "grapes/continual/forgetting.h"
#include "grapes/kernels/threads.h"
#include "grapes/train/checkpoint.h"
#include "grapes/train/evaluate.h"
#include "grapes/train/layers.h"
#include "grapes/train/loop.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <numeric>

namespace grapes::continual {
using record::Json;
using train::Tensors;
namespace {

double mean(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

/// Position of a checkpoint among the tasks. @throws DataError
Json among_tasks(const Checkpoint& checkpoint) {
  const auto& [content, file] = checkpoint;
  const auto found = content.metadata.find("continual");
  if (found == content.metadata.end())
    throw DataError(file + ": the entry 'continual' is missing: not a checkpoint of a run with several tasks");
  Json entry = Json::parse(found->second, nullptr, false);
  for (const char* const name : {"task", "in_progress", "seconds", "curve", "evaluations"})
    if (!entry.is_object() || !entry.contains(name) || !entry["task"].is_number_integer())
      throw DataError(file + ": the entry 'continual' is invalid");
  return entry;
}

class Learner {
 public:
  Learner(const ContinualRun& run, const train::RunWriter& writer, const train::ProgressCallback& on_progress)
      : run_(run),
        scenario_(run.scenario),
        state_(run.state),
        at_(run.state.progress),
        writer_(writer),
        on_progress_(on_progress),
        tasks_(static_cast<std::int64_t>(scenario_.tasks.size())),
        epochs_(run.training.epochs),
        seed_(run.training.seed),
        context_{*state_.model, run.plain, state_.criterion, scenario_, run.options, seed_},
        row_(find_row(methods(), "method", run.options.method)),
        method_(row_.make(context_)),
        forgetting_(context_) {
    if (row_.restarts)
      for (const at::Tensor& value : of_network()) initial_.push_back(value.detach().clone());
  }

  void restore(const Checkpoint& checkpoint) {
    const auto& [content, file] = checkpoint;
    train::unpack(content, state_, file);
    const Json entry = among_tasks(checkpoint);
    task_ = entry["task"];
    in_progress_ = entry["in_progress"];
    seconds_ = entry["seconds"];
    curve_ = entry["curve"];
    evaluations_ = entry["evaluations"];
    for (const auto& [name, value] : held()) {
      const auto found = content.tensors.find(name);
      if (found == content.tensors.end() || found->second.sizes() != value.sizes())
        throw DataError(file + ": the tensor '" + name + "' is missing, or does not match this run");
      at::Tensor(value).copy_(found->second);
    }
    if (in_progress_) method_->begin(task_);
  }

  record::Status run() {
    const kernels::FlushDenormals flush;
    if (at_.step == 0 && !in_progress_) before_training();
    train::LoopCallbacks callbacks;
    callbacks.epoch = [this] { return epoch(); };
    callbacks.before_step = [this](const data::Batch& batch, nn::Pass&, train::StepOptions& options) {
      before_step(batch, options);
    };
    callbacks.after_step = [this](const train::StepResult&) { draw_curve(); };
    callbacks.after_epoch = [this](const train::EpochResult& result) { return end_epoch(result); };
    callbacks.pack = [this](Tensors& content) { pack(content); };
    train::ProgressCallback on_progress;
    if (on_progress_)
      on_progress = [this](train::ProgressEvent event) {
        event.epoch += task_ * epochs_;
        event.epochs = tasks_ * epochs_;
        on_progress_(event);
      };
    const data::Dataset& first = *scenario_.tasks.front().train;
    train::Loop loop(state_, run_.training, first, std::move(callbacks), writer_, std::move(on_progress));

    record::Status status;
    status.state = record::State::finished;
    status.step = at_.step;
    while (task_ < tasks_ && status.state == record::State::finished) {
      if (!in_progress_) begin_task();
      status = loop.run(fmt::format("task {}, ", task_ + 1));
    }
    status.epoch = task_;
    writer_.finish(status);
    return status;
  }

 private:
  void before_training() {
    Json row = {{"epoch", 0},
                {"step", 0},
                {"learning_rate", state_.learning_rate},
                {"scenario", scenario_.manifest["scenario"]},
                {"method", row_.name},
                {"optimizer_state", run_.options.optimizer_state},
                {"epochs", epochs_}};
    const Stopwatch watch;
    evaluate_into(row, &Task::test, "test");
    row["evaluation_seconds"] = watch.seconds();
    write(row);
  }

  void begin_task() {
    if (row_.restarts) restart();
    if (task_ > 0 && (row_.restarts || run_.options.optimizer_state == "reset"))
      state_.optimizer = train::optimizer_of(run_.optimizer, *state_.model);
    state_.schedule = optim::make_schedule(run_.training.schedule, run_.training.warm_up, epochs_);
    at_.epoch = at_.batch = 0;
    seconds_ = 0;
    curve_ = evaluations_ = Json::array();
    forgetting_.begin();
    method_->begin(task_);
    in_progress_ = true;
  }

  void restart() {
    const at::NoGradGuard no_grad;
    const std::vector<at::Tensor> now = of_network();
    for (std::size_t i = 0; i < now.size(); ++i) at::Tensor(now[i]).copy_(initial_[i]);
  }

  /// Parameters and buffers.
  std::vector<at::Tensor> of_network() const {
    std::vector<at::Tensor> all;
    for (const nn::Named& parameter : state_.model->parameters()) all.push_back(parameter.value);
    for (const nn::Named& buffer : state_.model->buffers()) all.push_back(buffer.value);
    return all;
  }

  train::Epoch epoch() {
    const at::Tensor order = row_.joint ? order_of_all(scenario_, task_ * epochs_ + at_.epoch, seed_)
                                        : order_of_task(scenario_, task_, at_.epoch, epochs_, seed_);
    const std::int64_t first_step = at_.step - at_.batch;
    batches_ = method_->batches(order.split(run_.training.batch_size), first_step);
    return {batches_, [this, first_step](const at::Tensor& examples, std::int64_t index) {
              return make_batch(scenario_, examples, first_step + index, seed_);
            }};
  }

  void before_step(const data::Batch& batch, train::StepOptions& options) {
    const at::Tensor& examples = batches_[static_cast<std::size_t>(at_.batch)];
    batch_ = {batch, tasks_of(examples), rows_of(examples), at_.step};
    if (scenario_.heads.defined())
      options.select_head = [this](const at::Tensor& logits) { return answers(scenario_, logits, batch_.tasks); };
    options.loss = [this](const at::Tensor& logits) { return method_->loss(batch_, logits); };
    if (method_->needs_gradients()) options.before_update = [this] { method_->before_update(batch_); };
    options.after_update = [this](const train::StepResult& result) { method_->after_update(batch_, result.logits); };
  }

  /// Adds a point to the curve if the step has passed one.
  void draw_curve() {
    const auto batches = static_cast<std::int64_t>(batches_.size());
    const std::int64_t done = at_.epoch * batches + at_.batch + 1, all = epochs_ * batches,
                       points = run_.options.curve_points;
    if (done == all || done * points / all == (done - 1) * points / all) return;
    curve_.push_back({{"step", at_.step + 1},
                      {"part", static_cast<double>(done) / static_cast<double>(all)},
                      {"test", accuracies(&Task::test, task_ + 1, run_.options.curve_examples)}});
  }

  train::Validation end_epoch(const train::EpochResult& result) {
    method_->end_epoch();
    seconds_ += result.seconds;
    const bool ends = at_.epoch == epochs_;
    if (ends) method_->end(task_);
    Json row = {{"epoch", ends ? task_ + 1 : at_.epoch}, {"step", at_.step}};
    if (ends)
      row.update({{"learning_rate", state_.learning_rate},
                  {"train_loss", result.loss},
                  {"train_accuracy", result.score},
                  {"seconds", seconds_},
                  {"curve", curve_},
                  {"evaluations", evaluations_},
                  {"layers", train::describe_layers(*state_.model, {.gradient_norms = result.gradient_norms})},
                  {"forgetting", forgetting_.end(task_)}});
    train::Validation validation;
    if (result.evaluate) {
      const Stopwatch watch;
      evaluate_into(row, &Task::test, "test");
      evaluate_into(row, &Task::validation, "validation");
      if (ends) row["evaluation_seconds"] = watch.seconds();
      if (row.contains("validation_tasks")) validation.score = mean(row["validation_tasks"]);
    }
    if (ends) {
      ++task_;
      in_progress_ = false;
      write(row);
    } else if (result.evaluate) {
      evaluations_.push_back(row);
    }
    return validation;
  }

  /// Returns the accuracy on each of the first `count` tasks. @param most  number of examples of each, evenly spaced;
  /// 0: all
  std::vector<double> accuracies(data::DatasetPtr Task::*part, std::int64_t count, std::int64_t most = 0) {
    std::vector<double> all;
    for (std::int64_t k = 0; k < count; ++k) {
      data::DatasetPtr examples = scenario_.tasks[static_cast<std::size_t>(k)].*part;
      if (most > 0 && most < examples->size())
        examples = data::subset(examples, at::floor_divide(at::arange(most, at::kLong) * examples->size(), most));
      const at::Tensor task = at::tensor({k}, at::kLong);
      const train::HeadSelector head = [&](const at::Tensor& logits) { return answers(scenario_, logits, task); };
      all.push_back(train::evaluate(*state_.model, *examples, state_.criterion, 1024, head).score);
    }
    return all;
  }

  /// Adds NAME_tasks, the accuracy on every task, and NAME_accuracy, the mean over the tasks so far. Before training it
  /// is the mean over all tasks.
  void evaluate_into(Json& row, data::DatasetPtr Task::*part, const std::string& name) {
    const data::DatasetPtr& first = scenario_.tasks.front().*part;
    if (!first || first->size() == 0) return;
    std::vector<double> all = accuracies(part, tasks_);
    row[name + "_tasks"] = all;
    if (in_progress_) all.resize(static_cast<std::size_t>(task_ + 1));
    row[name + "_accuracy"] = mean(all);
  }

  void write(const Json& row) {
    writer_.row(row, fmt::format("task {}/{}", task_, tasks_));
    if (on_progress_)
      on_progress_({task_ * epochs_, tasks_ * epochs_, 1, 1, row.value("train_loss", 0.0),
                    row.value("train_accuracy", 0.0), 0, &row});
  }

  /// State for a checkpoint besides the TrainState.
  std::vector<Method::State> held() const {
    std::vector<Method::State> all;
    for (const auto& [name, value] : method_->state()) all.push_back({"method." + name, value});
    for (const auto& [name, value] : forgetting_.state()) all.push_back({"forgetting." + name, value});
    for (std::size_t i = 0; i < initial_.size(); ++i) all.push_back({fmt::format("initial.{}", i), initial_[i]});
    return all;
  }

  void pack(Tensors& content) const {
    for (const auto& [name, value] : held()) content.tensors[name] = value.detach().cpu();
    content.metadata["continual"] = Json{
        {"task", task_},
        {"in_progress", in_progress_},
        {"seconds", seconds_},
        {"curve", curve_},
        {"evaluations", evaluations_}}.dump();
  }

  const ContinualRun run_;
  const Scenario& scenario_;
  train::TrainState& state_;
  train::Progress& at_;  // in the current task; steps count over all tasks
  const train::RunWriter& writer_;
  const train::ProgressCallback& on_progress_;
  const std::int64_t tasks_, epochs_;
  const std::uint64_t seed_;
  const MethodContext context_;
  const MethodRow& row_;
  const std::unique_ptr<Method> method_;
  ForgettingAnalysis forgetting_;
  std::vector<at::Tensor> initial_;  // parameters and buffers, if every task starts from them

  std::int64_t task_ = 0;                                     // number of completed tasks
  bool in_progress_ = false;                                  // the next task has started
  double seconds_ = 0;                                        // training time of the current task, in completed epochs
  Json curve_ = Json::array(), evaluations_ = Json::array();  // of the current task
  std::vector<at::Tensor> batches_;                           // of the current epoch, [n, 2] (task, row)
  TaskBatch batch_;                                           // of the current step
};

}  // namespace

record::Status learn(const ContinualRun& run, const std::optional<Checkpoint>& checkpoint,
                     const train::RunWriter& writer, const train::ProgressCallback& on_progress) {
  const char* const why = "is not supported with several tasks";
  if (run.training.patience > 0) throw UsageError("patience", why);
  if (run.training.carry_remainder) throw UsageError("carry_remainder", why);
  Learner learner(run, writer, on_progress);
  if (checkpoint) learner.restore(*checkpoint);
  return learner.run();
}

std::int64_t last_row(const Checkpoint& checkpoint) { return among_tasks(checkpoint)["task"].get<std::int64_t>(); }

}  // namespace grapes::continual
