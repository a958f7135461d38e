#include "grapes/continual/learner.h"

#include "grapes/base/interrupt.h"
#include "grapes/continual/continual_test.h"
#include "grapes/testing/device.h"
#include "grapes/train/checkpoint.h"
#include "grapes/train/evaluate.h"
#include "grapes/train/trainer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <set>
#include <thread>

namespace grapes::continual {
namespace {

namespace fs = std::filesystem;
using record::Json;

/// A folder that is removed at the end.
class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("grapes-continual-" + std::to_string(::getpid()))) {
    fs::remove_all(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// A data set that reports which examples are requested.
class Observed final : public data::Dataset {
 public:
  using Observe = std::function<void(const at::Tensor& rows)>;
  Observed(data::DatasetPtr source, Observe observe) : source_(std::move(source)), observe_(std::move(observe)) {}
  std::int64_t size() const override { return source_->size(); }
  const data::DatasetInfo& info() const override { return source_->info(); }
  at::Tensor targets() const override { return source_->targets(); }
  data::Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    observe_(rows);
    return source_->get(rows, seed);
  }

 private:
  data::DatasetPtr source_;
  Observe observe_;
};

/// Observes a part of every task.
void observe(Scenario& scenario, data::DatasetPtr Task::*part, const Observed::Observe& observer) {
  for (Task& task : scenario.tasks) task.*part = std::make_shared<Observed>(task.*part, observer);
}

/// Rows of metrics without values that differ between runs.
std::vector<Json> recorded_rows(const fs::path& folder) {
  std::vector<Json> rows = record::load(folder).epochs;
  for (Json& row : rows) {
    row.erase("seconds");
    row.erase("evaluation_seconds");
  }
  return rows;
}

struct Recorded {
  record::Status status;
  at::Tensor weights;
};

/// Learns with a record in `folder`, from its checkpoint if there is one, and calls an event at a batch (0: none).
Recorded learn_in(
    Kit& kit, const fs::path& folder, int at_batch, const std::function<void()>& act = [] { std::raise(SIGINT); }) {
  observe(kit.scenario, &Task::train, [left = std::make_shared<int>(at_batch), act](const at::Tensor&) {
    if (--*left == 0) act();
  });
  const fs::path last = folder / "checkpoints" / "last.safetensors";
  std::optional<Checkpoint> checkpoint;
  if (fs::exists(last)) checkpoint = {train::read_safetensors(last), last.string()};
  auto writer = checkpoint ? record::Writer::resume(folder, last_row(*checkpoint))
                           : record::Writer::create(folder, {}, "", Json::object());
  const record::Status status = learn(kit.run(), checkpoint, {&writer});
  interrupt::clear();
  interrupt::install();
  return {status, kit.weights()};
}

nn::Options busy() {
  nn::Options network = Kit::small();
  network.dropout = 0.2;
  network.bias = true;
  network.rule.modulation = "shuffled";
  network.rule.every = 3;
  return network;
}

/// Eight batches per epoch, two epochs per task, three tasks: 48 batches.
void expect_resumes(const std::string& scenario, const std::string& method, const nn::Options& network,
                    const std::string& state, const std::set<int>& stops, const std::string& loss = "auto") {
  const auto kit = [&] {
    Kit made(scenario, method, network, 3, loss);
    made.options.optimizer_state = state;
    return made;
  };
  const std::string what = scenario + ", " + method + ", " + nn::to_string(network.model) + ", " + state;
  interrupt::install();
  at::Tensor straight;
  std::vector<Json> rows;
  {
    const Folder folder;
    Kit whole = kit();
    const Recorded run = learn_in(whole, folder.path(), 0);
    ASSERT_EQ(run.status.state, record::State::finished) << what;
    straight = run.weights;
    rows = recorded_rows(folder.path());
  }
  for (const int stop : stops) {
    const Folder folder;
    Kit begun = kit();
    ASSERT_EQ(learn_in(begun, folder.path(), stop).status.state, record::State::interrupted) << what << stop;
    Kit resumed = kit();
    const Recorded run = learn_in(resumed, folder.path(), 0);
    ASSERT_EQ(run.status.state, record::State::finished) << what << stop;
    EXPECT_TRUE(run.weights.equal(straight)) << what << ", stopped at " << stop;
    EXPECT_EQ(recorded_rows(folder.path()), rows) << what << ", stopped at " << stop;
  }
}

TEST(Learner, ResumingAnywhereEqualsNeverStoppedWithEveryMethod) {
  // In the first task; at its end, where the signal is seen before the second task's first batch; in the second task's
  // first and second epoch; and in the third task.
  for (const MethodRow& row : methods())
    for (const std::string state : {"reset", "kept"})
      expect_resumes("permuted", row.name, busy(), state, {3, 16, 18, 26, 40});
}

TEST(Learner, ResumesFromTheEndOfATask) {
  // A program that is killed in the next task finds the checkpoint from the end of the previous one.
  struct Killed {};
  for (const MethodRow& row : methods()) {
    const Folder folder;
    Kit straight("permuted", row.name, busy());
    learn(straight.run());
    Kit killed("permuted", row.name, busy());
    const int batch = row.joint ? 60 : 20;  // joint batches take examples from three tasks
    EXPECT_THROW(learn_in(killed, folder.path(), batch, [] { throw Killed(); }), Killed);
    EXPECT_EQ(last_row({train::read_safetensors(folder.path() / "checkpoints" / "last.safetensors"), "last"}), 1);
    Kit resumed("permuted", row.name, busy());
    EXPECT_TRUE(learn_in(resumed, folder.path(), 0).weights.equal(straight.weights())) << row.name;
  }
}

TEST(Learner, ResumesWithSeparateAndSharedOutputs) {
  for (const std::string scenario : {"split", "class-incremental", "domain-incremental", "rotated"})
    for (const std::string method : {"replay", "lwf", "der++", "er-ace", "gdumb"})
      expect_resumes(scenario, method, Kit::small(), "reset", {2, 9});
}

TEST(Learner, ResumesConvolutionsAndSpikes) {
  nn::Options cnn;
  cnn.model = nn::parse_model("cnn:4");
  cnn.rule.modulation = "grapes";
  nn::Options snu;
  snu.model = nn::parse_model("snn:10");
  snu.rule.modulation = "grapes";
  snu.encoding.steps = 5;
  snu.spiking.readout = "mean_rate";
  for (const std::string method : {"ewc", "lwf"}) {
    expect_resumes("split", method, snu, "reset", {9}, "mse");
    expect_resumes("split", method, cnn, "reset", {9});
  }
}

TEST(Learner, TheFirstTaskEqualsOrdinaryTraining) {
  for (const std::string rule : {"none", "grapes", "shuffled"}) {
    nn::Options network = busy();
    network.rule.modulation = rule;
    Kit kit("permuted", "none", network);
    train::TrainState straight(network, kit.optimizer, kit.training, small_digits().info);
    train::train(straight, small_digits(), kit.training);
    at::Tensor first;
    learn(kit.run(), {}, {}, [&](const train::ProgressEvent& event) {
      if (event.finished != nullptr && (*event.finished)["epoch"] == 1) first = kit.weights();
    });
    EXPECT_TRUE(first.equal(weights_of(*straight.model))) << rule;
  }
}

TEST(Learner, EveryMethodLearnsTheSameOnAnotherDevice) {
  nn::Options here = Kit::small();
  here.precision.dtype = at::kDouble;
  here.rule.modulation = "grapes";
  nn::Options there = here;
  there.device = testing::other_device();
  for (const MethodRow& row : methods()) {
    Kit one("split", row.name, here), other("split", row.name, there);
    for (Kit* kit : {&one, &other}) kit->training.epochs = 1;
    EXPECT_EQ(learn(one.run()).state, record::State::finished) << row.name;
    EXPECT_EQ(learn(other.run()).state, record::State::finished) << row.name;
    EXPECT_TRUE(at::allclose(one.weights(), other.weights().cpu(), 1e-8, 1e-10)) << row.name;
  }
}

TEST(Learner, OutputUnitsOfOtherTasksDoNotChange) {
  Kit kit("split");
  std::vector<at::Tensor> outputs;
  const auto output = [&] { return kit.state.model->parameters().back().value.detach().clone(); };
  outputs.push_back(output());
  learn(kit.run(), {}, {}, [&](const train::ProgressEvent& event) {
    if (event.finished != nullptr && (*event.finished)["epoch"] > 0) outputs.push_back(output());
  });
  ASSERT_EQ(outputs.size(), 4);
  for (std::int64_t task = 0; task < 3; ++task)
    for (std::int64_t head = 0; head < 3; ++head)
      EXPECT_EQ(outputs[static_cast<std::size_t>(task)]
                    .narrow(0, 3 * head, 3)
                    .equal(outputs[static_cast<std::size_t>(task) + 1].narrow(0, 3 * head, 3)),
                head != task)
          << task << head;
}

TEST(Learner, TheVelocityIsKeptOrResetBetweenTasks) {
  Kit reset, kept;
  kept.options.optimizer_state = "kept";
  std::vector<at::Tensor> after_first, at_end;
  for (Kit* kit : {&reset, &kept}) {
    learn(kit->run(), {}, {}, [&](const train::ProgressEvent& event) {
      if (event.finished != nullptr && (*event.finished)["epoch"] == 1) after_first.push_back(kit->weights());
    });
    at_end.push_back(kit->weights());
  }
  EXPECT_TRUE(after_first[0].equal(after_first[1]));
  EXPECT_FALSE(at_end[0].equal(at_end[1]));
}

TEST(Learner, JointTrainingUsesTheSameExamplesInAnotherOrder) {
  for (const std::string method : {"none", "joint"}) {
    Kit kit("permuted", method);
    std::vector<std::vector<int>> seen;  // how often each example of a task was used
    for (Task& task : kit.scenario.tasks) {
      seen.emplace_back(task.train->size());
      task.train = std::make_shared<Observed>(task.train, [&seen, k = seen.size() - 1](const at::Tensor& rows) {
        for (std::int64_t i = 0; i < rows.size(0); ++i)
          ++seen[k][static_cast<std::size_t>(rows[i].item<std::int64_t>())];
      });
    }
    learn(kit.run(), {}, {}, [&](const train::ProgressEvent& event) {
      if (event.finished == nullptr || (*event.finished)["epoch"] != 1) return;
      const auto met = [](const std::vector<int>& times) {
        return static_cast<std::size_t>(std::count_if(times.begin(), times.end(), [](int n) { return n > 0; }));
      };
      // After the first task, joint training has used some examples of every task. Without it, all examples of the
      // first task were used and no others.
      EXPECT_EQ(met(seen[0]) == seen[0].size(), method == "none");
      EXPECT_EQ(met(seen[2]) == 0, method == "none");
    });
    for (const auto& task : seen)
      for (const int times : task) EXPECT_EQ(times, 2) << method;  // two epochs of each in all
  }
}

TEST(Learner, BatchesMadeAheadAreTheSame) {
  for (const std::string method : {"none", "replay", "der++", "joint"}) {
    Kit straight("permuted", method), ahead("permuted", method);
    std::atomic<int> here = 0, elsewhere = 0;
    // A batch takes as long as the step before it, and so more than a tenth of it, even if the machine is busy.
    using clock = std::chrono::steady_clock;
    std::atomic<clock::time_point> last = clock::now();
    observe(ahead.scenario, &Task::train, [&, home = std::this_thread::get_id()](const at::Tensor&) {
      std::this_thread::sleep_for(std::clamp<clock::duration>(clock::now() - last.load(), std::chrono::milliseconds(10),
                                                              std::chrono::seconds(1)));
      last = clock::now();
      ++(std::this_thread::get_id() == home ? here : elsewhere);
    });
    learn(straight.run());
    learn(ahead.run());
    EXPECT_TRUE(straight.weights().equal(ahead.weights())) << method;
    EXPECT_GT(elsewhere, 2 * here) << method << ": only the first epoch's batches are made here";
  }
}

TEST(Learner, ResumesWhileBatchesAreMadeAhead) {
  interrupt::install();
  Kit straight("permuted", "replay");
  learn(straight.run());
  const auto slow = [] {
    Kit kit("permuted", "replay");
    observe(kit.scenario, &Task::train,
            [](const at::Tensor&) { std::this_thread::sleep_for(std::chrono::milliseconds(10)); });
    return kit;
  };
  const Folder folder;
  Kit begun = slow(), resumed = slow();
  EXPECT_EQ(learn_in(begun, folder.path(), 60).status.state, record::State::interrupted);
  EXPECT_TRUE(learn_in(resumed, folder.path(), 0).weights.equal(straight.weights()));
}

TEST(Learner, EvaluatesEveryGivenNumberOfEpochsAndAfterEachTask) {
  const Folder folder;
  Kit kit;
  kit.training.epochs = 5;
  kit.training.evaluate_every = 2;
  kit.options.curve_points = 1;
  int evaluations = 0;  // of one task
  kit.scenario.tasks[1].test =
      std::make_shared<Observed>(kit.scenario.tasks[1].test, [&](const at::Tensor&) { ++evaluations; });
  learn_in(kit, folder.path(), 0);
  EXPECT_EQ(evaluations, 1 + 3 * 3);  // before training; after the second, fourth and fifth epoch of three tasks
  const std::vector<Json> rows = record::load(folder.path()).epochs;
  for (std::size_t i = 1; i < 4; ++i) {
    ASSERT_EQ(rows[i]["evaluations"].size(), 2);
    for (std::size_t e = 0; e < 2; ++e) {
      const Json& evaluation = rows[i]["evaluations"][e];
      EXPECT_EQ(evaluation["epoch"], 2 * (e + 1));
      EXPECT_EQ(evaluation["step"], 8 * (5 * (i - 1) + 2 * (e + 1)));
      EXPECT_EQ(evaluation["test_tasks"].size(), 3);
      EXPECT_EQ(evaluation["validation_tasks"].size(), 3);
    }
  }
}

TEST(Learner, TheBestCheckpointHasTheBestValidationScoreOverAllTasks) {
  const Folder folder;
  Kit kit;
  learn_in(kit, folder.path(), 0);
  double best = 0;
  const auto look = [&](const Json& evaluation) {
    double sum = 0;
    for (const double accuracy : evaluation["validation_tasks"]) sum += accuracy;
    best = std::max(best, sum / 3);
  };
  for (const Json& row : record::load(folder.path()).epochs) {
    if (row["epoch"] == 0) continue;
    for (const Json& evaluation : row["evaluations"]) look(evaluation);
    look(row);
  }
  const fs::path file = folder.path() / "checkpoints" / "best.safetensors";
  Kit other;
  train::unpack(train::read_safetensors(file), other.state, file.string());
  EXPECT_DOUBLE_EQ(other.state.progress.best, best);
  double sum = 0;
  for (const Task& task : other.scenario.tasks)
    sum += train::evaluate(*other.state.model, *task.validation, other.state.criterion).score;
  EXPECT_DOUBLE_EQ(sum / 3, best);
}

TEST(Learner, FactorsAtRestChangesTheResultOfNag) {
  std::vector<at::Tensor> weights;
  for (const bool at_rest : {false, true}) {
    Kit kit("permuted", "none", [] {
      nn::Options network = Kit::small();
      network.rule.modulation = "grapes";
      return network;
    }());
    kit.optimizer.optimizer = "nag";
    kit.training.factors_at_rest = at_rest;
    kit.state = train::TrainState(kit.network, kit.optimizer, kit.training, kit.scenario.info);
    learn(kit.run());
    weights.push_back(kit.weights());
  }
  EXPECT_FALSE(weights[0].equal(weights[1]));
}

TEST(Learner, OptionsWithoutMeaningForSeveralTasksAreErrors) {
  Kit patient, carrying;
  patient.training.patience = 2;
  carrying.training.carry_remainder = true;
  EXPECT_THROW(learn(patient.run()), UsageError);
  EXPECT_THROW(learn(carrying.run()), UsageError);
}

TEST(Learner, MetricsContainTheWholeMatrixAndTheCurve) {
  const Folder folder;
  Kit kit;
  learn_in(kit, folder.path(), 0);
  const record::Run run = record::load(folder.path());
  ASSERT_EQ(run.epochs.size(), 4);
  EXPECT_EQ(run.epochs[0]["scenario"], "permuted");
  for (std::size_t i = 0; i < 4; ++i) {
    const auto all = run.epochs[i]["test_tasks"].get<std::vector<double>>();
    ASSERT_EQ(all.size(), 3);
    double sum = 0;
    for (std::size_t j = 0; j < (i == 0 ? 3 : i); ++j) sum += all[j] / static_cast<double>(i == 0 ? 3 : i);
    EXPECT_NEAR(run.epochs[i]["test_accuracy"], sum, 1e-12);
    EXPECT_EQ(run.epochs[i].contains("validation_tasks"), i > 0);
    if (i == 0) continue;
    ASSERT_EQ(run.epochs[i]["curve"].size(), 4);  // five points, the last of which is the row itself
    EXPECT_EQ(run.epochs[i]["curve"][0]["test"].size(), i);
    EXPECT_EQ(run.epochs[i]["step"], 16 * i);
    EXPECT_EQ(run.epochs[i]["curve"][3]["step"], 16 * (i - 1) + 13);  // the batch that passes four fifths of 16
  }
}

TEST(Learner, ALossThatIsNotFiniteEndsTheRunAsDiverged) {
  Kit kit;
  kit.state.learning_rate = 1e30;
  const record::Status status = learn(kit.run());
  EXPECT_EQ(status.state, record::State::diverged);
  EXPECT_NE(status.message.find("task 1"), std::string::npos);
}

}  // namespace
}  // namespace grapes::continual
