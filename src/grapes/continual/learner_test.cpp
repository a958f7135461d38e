#include "grapes/continual/learner.h"

#include "grapes/base/interrupt.h"
#include "grapes/continual/continual_test.h"
#include "grapes/testing/device.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <set>

namespace grapes::continual {
namespace {

namespace fs = std::filesystem;
using record::Json;

/// A folder of its own that is gone afterwards.
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

/// Training examples that do something with the batch of some number: a signal, say.
class Eventful final : public data::Dataset {
 public:
  Eventful(data::DatasetPtr source, std::shared_ptr<int> left, std::function<void()> act)
      : source_(std::move(source)), left_(std::move(left)), act_(std::move(act)) {}
  std::int64_t size() const override { return source_->size(); }
  const data::DatasetInfo& info() const override { return source_->info(); }
  at::Tensor targets() const override { return source_->targets(); }
  data::Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    if (--*left_ == 0) act_();
    return source_->get(rows, seed);
  }

 private:
  data::DatasetPtr source_;
  std::shared_ptr<int> left_;
  std::function<void()> act_;
};

/// Rows of metrics without what no two runs have in common.
std::vector<Json> rows_of(const fs::path& folder) {
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

/// Learn with a record in `folder`, from its checkpoint if there is one, with an event at a batch (0: none).
Recorded learn_in(
    Kit& kit, const fs::path& folder, int at_batch, const std::function<void()>& act = [] { std::raise(SIGINT); }) {
  const auto left = std::make_shared<int>(at_batch);
  for (Task& task : kit.scenario.tasks) task.train = std::make_shared<Eventful>(task.train, left, act);
  const fs::path last = folder / "checkpoints" / "last.safetensors";
  std::optional<std::pair<train::Tensors, std::string>> checkpoint;
  if (fs::exists(last)) checkpoint = {train::read_safetensors(last), last.string()};
  auto writer = checkpoint ? record::Writer::resume(folder, last_row(checkpoint->first, last.string()))
                           : record::Writer::create(folder, {}, "", Json::object());
  const train::Keep keep{writer, true, {}, {}};
  const record::Status status = learn(kit.course(), checkpoint, &keep, {});
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

/// Eight batches an epoch, two epochs a task, three tasks: 48 batches.
void expect_resumes(const std::string& scenario, const std::string& method, const nn::Options& network,
                    const std::string& state, const std::set<int>& stops, const std::string& loss = "auto") {
  const auto kit = [&] {
    Kit made(scenario, method, network, 3, loss);
    made.options.optimizer_state = state;
    return made;
  };
  const std::string what = scenario + ", " + method + ", " + network.model + ", " + state;
  interrupt::install();
  at::Tensor straight;
  std::vector<Json> rows;
  {
    const Folder folder;
    Kit whole = kit();
    const Recorded run = learn_in(whole, folder.path(), 0);
    ASSERT_EQ(run.status.state, record::State::finished) << what;
    straight = run.weights;
    rows = rows_of(folder.path());
  }
  for (const int stop : stops) {
    const Folder folder;
    Kit begun = kit();
    ASSERT_EQ(learn_in(begun, folder.path(), stop).status.state, record::State::interrupted) << what << stop;
    Kit resumed = kit();
    const Recorded run = learn_in(resumed, folder.path(), 0);
    ASSERT_EQ(run.status.state, record::State::finished) << what << stop;
    EXPECT_TRUE(run.weights.equal(straight)) << what << ", stopped at " << stop;
    EXPECT_EQ(rows_of(folder.path()), rows) << what << ", stopped at " << stop;
  }
}

TEST(Learner, ResumedAnywhereEqualsNeverStoppedWithEveryMethod) {
  // In the first task, at its end (the signal is seen before the second's first batch), in the second's first and
  // second epoch, and in the third.
  for (const MethodRow& row : methods())
    for (const std::string state : {"reset", "kept"})
      expect_resumes("permuted", row.name, busy(), state, {3, 16, 18, 26, 40});
}

TEST(Learner, ResumesFromTheEndOfATask) {
  // What a program that is killed in the next task finds: the checkpoint that the end of the task left.
  struct Killed {};
  for (const MethodRow& row : methods()) {
    const Folder folder;
    Kit straight("permuted", row.name, busy());
    learn(straight.course(), {}, nullptr, {});
    Kit killed("permuted", row.name, busy());
    const int batch = row.joint ? 60 : 20;  // joint ones ask for examples of three tasks each
    EXPECT_THROW(learn_in(killed, folder.path(), batch, [] { throw Killed(); }), Killed);
    EXPECT_EQ(last_row(train::read_safetensors(folder.path() / "checkpoints" / "last.safetensors"), "last"), 1);
    Kit resumed("permuted", row.name, busy());
    EXPECT_TRUE(learn_in(resumed, folder.path(), 0).weights.equal(straight.weights())) << row.name;
  }
}

TEST(Learner, ResumesWithHeadsAndOneHead) {
  for (const std::string scenario : {"split", "class-incremental", "rotated"})
    for (const std::string method : {"replay", "lwf"}) expect_resumes(scenario, method, Kit::small(), "reset", {2, 9});
}

TEST(Learner, ResumesConvolutionsAndSpikes) {
  nn::Options cnn;
  cnn.model = "cnn:4";
  cnn.rule.modulation = "grapes";
  nn::Options snu;
  snu.model = "snu:10";
  snu.rule.modulation = "grapes";
  snu.encoding.steps = 5;
  snu.spiking.readout = "mean_rate";
  for (const std::string method : {"ewc", "lwf"}) {
    expect_resumes("split", method, snu, "reset", {9}, "mse");
    expect_resumes("split", method, cnn, "reset", {9});
  }
}

TEST(Learner, TheFirstTaskIsWhatATrainerDoes) {
  for (const std::string rule : {"none", "grapes", "shuffled"}) {
    nn::Options network = busy();
    network.rule.modulation = rule;
    Kit kit("permuted", "none", network);
    kit.options.tasks = 3;
    const auto straight = kit.fresh(network);
    const auto optimizer = optim::make_optimizer(kit.optimizer, nn::learning(*straight));
    const auto schedule = optim::make_schedule("constant", 0, 2);
    train::Options training = kit.training;
    train::train({*straight, kit.criterion, *optimizer, *schedule, kit.optimizer.learning_rate}, small_digits(),
                 training, {}, nullptr, {});
    // One task and the beginning of the second, which a signal ends.
    at::Tensor first;
    learn(kit.course(), {}, nullptr, [&](const train::Moment& moment) {
      if (moment.finished != nullptr && (*moment.finished)["epoch"] == 1) first = kit.weights();
    });
    Kit other("permuted", "none", network);
    copy_weights(*straight, *other.model);
    EXPECT_TRUE(first.equal(other.weights())) << rule;
  }
}

TEST(Learner, EveryMethodLearnsOnAnotherDeviceWhatItLearnsHere) {
  nn::Options here = Kit::small();
  here.precision = "float64";
  here.rule.modulation = "grapes";
  nn::Options there = here;
  there.device = testing::other_device();
  for (const MethodRow& row : methods()) {
    Kit one("split", row.name, here), other("split", row.name, there);
    for (Kit* kit : {&one, &other}) kit->training.epochs = 1;
    EXPECT_EQ(learn(one.course(), {}, nullptr, {}).state, record::State::finished) << row.name;
    EXPECT_EQ(learn(other.course(), {}, nullptr, {}).state, record::State::finished) << row.name;
    EXPECT_TRUE(at::allclose(one.weights(), other.weights().cpu(), 1e-8, 1e-10)) << row.name;
  }
}

TEST(Learner, HeadsOfOtherTasksStayAsTheyAre) {
  Kit kit("split");
  std::vector<at::Tensor> outputs;
  const auto output = [&] { return kit.model->parameters().back().value.detach().clone(); };
  outputs.push_back(output());
  learn(kit.course(), {}, nullptr, [&](const train::Moment& moment) {
    if (moment.finished != nullptr && (*moment.finished)["epoch"] > 0) outputs.push_back(output());
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

TEST(Learner, AKeptVelocityGoesOnAndAResetOneDoesNot) {
  Kit reset, kept;
  kept.options.optimizer_state = "kept";
  std::vector<at::Tensor> after_first, at_end;
  for (Kit* kit : {&reset, &kept}) {
    learn(kit->course(), {}, nullptr, [&](const train::Moment& moment) {
      if (moment.finished != nullptr && (*moment.finished)["epoch"] == 1) after_first.push_back(kit->weights());
    });
    at_end.push_back(kit->weights());
  }
  EXPECT_TRUE(after_first[0].equal(after_first[1]));
  EXPECT_FALSE(at_end[0].equal(at_end[1]));
}

/// Counts how often each example is asked for.
class Counting final : public data::Dataset {
 public:
  explicit Counting(data::DatasetPtr source) : source_(std::move(source)), times(source_->size()) {}
  std::int64_t size() const override { return source_->size(); }
  const data::DatasetInfo& info() const override { return source_->info(); }
  at::Tensor targets() const override { return source_->targets(); }
  data::Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    for (std::int64_t i = 0; i < rows.size(0); ++i) ++times[static_cast<std::size_t>(rows[i].item<std::int64_t>())];
    return source_->get(rows, seed);
  }

 private:
  data::DatasetPtr source_;

 public:
  mutable std::vector<int> times;
};

TEST(Learner, JointTrainingSeesWhatTheOthersSeeInAnotherOrder) {
  for (const std::string method : {"none", "joint"}) {
    Kit kit("permuted", method);
    std::vector<std::shared_ptr<Counting>> seen;
    for (Task& task : kit.scenario.tasks) {
      seen.push_back(std::make_shared<Counting>(task.train));
      task.train = seen.back();
    }
    learn(kit.course(), {}, nullptr, [&](const train::Moment& moment) {
      if (moment.finished == nullptr || (*moment.finished)["epoch"] != 1) return;
      const auto met = [](const std::vector<int>& times) {
        return std::count_if(times.begin(), times.end(), [](int n) { return n > 0; });
      };
      // After the first task, joint training has met some of every task, the others all of the first and no other.
      EXPECT_EQ(met(seen[0]->times) == seen[0]->size(), method == "none");
      EXPECT_EQ(met(seen[2]->times) == 0, method == "none");
    });
    for (const auto& task : seen)
      for (const int times : task->times) EXPECT_EQ(times, 2) << method;  // two epochs of each in all
  }
}

TEST(Learner, TheRowsHoldTheWholeMatrixAndTheCurve) {
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
    EXPECT_EQ(run.epochs[i].contains("validation_tasks"), i == 3);
    if (i == 0) continue;
    ASSERT_EQ(run.epochs[i]["curve"].size(), 4);  // five points, the last of which is the row itself
    EXPECT_EQ(run.epochs[i]["curve"][0]["test"].size(), i);
    EXPECT_EQ(run.epochs[i]["step"], 16 * i);
    EXPECT_EQ(run.epochs[i]["curve"][3]["step"], 16 * (i - 1) + 13);  // the batch that passes four fifths of 16
  }
}

TEST(Learner, ALossThatIsNotFiniteIsAnOutcome) {
  Kit kit;
  kit.optimizer.learning_rate = 1e30;
  const record::Status status = learn(kit.course(), {}, nullptr, {});
  EXPECT_EQ(status.state, record::State::diverged);
  EXPECT_NE(status.message.find("task 1"), std::string::npos);
}

}  // namespace
}  // namespace grapes::continual
