#include "grapes/train/trainer.h"

#include "grapes/base/file.h"
#include "grapes/base/interrupt.h"
#include "grapes/train/alignment.h"
#include "grapes/train/checkpoint.h"
#include "grapes/train/evaluate.h"
#include "grapes/train/kit_test.h"
#include "grapes/train/metrics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <memory>
#include <sstream>
#include <thread>
#include <utility>

namespace grapes::train {
namespace {

namespace fs = std::filesystem;

const data::Splits& digits() {
  static const data::Splits splits = [] {
    data::Options options;
    options.train_limit = 200;
    options.test_limit = 50;
    return data::open(options, 1);
  }();
  return splits;
}

/// A folder that is removed at the end.
class Folder {
 public:
  Folder()
      : path_(fs::temp_directory_path() /
              ("grapes-train-" + std::to_string(::getpid()) + "-" + std::to_string(++count))) {}
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  static inline int count = 0;
  fs::path path_;
};

Options four_epochs() {
  Options options;
  options.epochs = 4;
  options.batch_size = 32;
  options.seed = 4;
  return options;
}

/// A network for the digits, with everything to train it.
struct DigitsKit : TrainState {
  explicit DigitsKit(const std::string& optimizer, const nn::Options& network = {}, double rate = 0.05,
                     const Options& options = reduced_on_plateau())
      : TrainState(with_model(network), update_by(optimizer, rate), options, digits().info) {}

 private:
  static nn::Options with_model(nn::Options network) {
    network.model = nn::parse_model("mlp:12,9");
    return network;
  }
  static Options reduced_on_plateau() {
    Options options = four_epochs();
    options.schedule = {"plateau", {0, 0.5}};
    options.warm_up = 0.5;
    return options;
  }
};

nn::Options everything_on() {
  nn::Options network;
  network.dropout = 0.2;
  network.bias = true;
  network.rule.modulation = "shuffled";
  network.rule.every = 3;
  return network;
}

void expect_equal_weights(const DigitsKit& a, const DigitsKit& b, const std::string& what) {
  const auto left = a.model->parameters(), right = b.model->parameters();
  for (std::size_t i = 0; i < left.size(); ++i)
    EXPECT_TRUE(at::equal(left[i].value, right[i].value)) << what << ": " << left[i].name;
}

TEST(Trainer, ResumingInTheMiddleOfAnEpochEqualsNeverStopped) {
  for (const auto& row : optim::optimizers())
    for (const bool carry : {false, true}) {
      Options options = four_epochs();
      options.carry_remainder = carry;
      DigitsKit straight(row.name, everything_on());
      EXPECT_EQ(train(straight, digits(), options).state, record::State::finished);

      const Folder folder;
      record::Identity identity;
      auto writer = record::Writer::create(folder.path(), identity, "", record::Json::object());
      const RunWriter run{&writer};
      DigitsKit stopped(row.name, everything_on());
      int evaluations = 0;
      // Stop in the middle of the third epoch; the next batch sees the signal. The callback is called at the end of
      // epoch 2; from then on its calls count the third epoch's batches or stop it at the first one.
      const auto status = train(stopped, digits(), options, run, [&](const ProgressEvent& event) {
        if (event.finished != nullptr && event.epoch == 2 && ++evaluations == 1) std::raise(SIGINT);
      });
      EXPECT_EQ(status.state, record::State::interrupted);
      EXPECT_NE(status.message.find("SIGINT"), std::string::npos) << status.message;
      interrupt::clear();
      interrupt::install();

      DigitsKit resumed(row.name, everything_on());
      const fs::path last = folder.path() / "checkpoints" / "last.safetensors";
      unpack(read_safetensors(last), resumed, last.string());
      EXPECT_EQ(resumed.progress.epoch, 2);
      EXPECT_EQ(train(resumed, digits(), options).state, record::State::finished);
      expect_equal_weights(straight, resumed, row.name + (carry ? ", carried" : ""));
    }
}

TEST(Trainer, ACheckpointTakenAfterAnyBatchResumesBitForBit) {
  // The signal comes from another thread at a random moment. The result must not depend on when it arrives.
  Options options = four_epochs();
  options.batch_size = 5;
  DigitsKit straight("nag", everything_on());
  train(straight, digits(), options);
  DigitsKit hopping("nag", everything_on());
  for (int hop = 0; hop < 200; ++hop) {
    const Folder folder;
    auto writer = record::Writer::create(folder.path(), {}, "", record::Json::object());
    const RunWriter run{&writer};
    std::thread killer([hop] {
      std::this_thread::sleep_for(std::chrono::milliseconds(3 + hop));
      std::raise(SIGINT);
    });
    const auto status = train(hopping, digits(), options, run);
    killer.join();
    interrupt::clear();
    interrupt::install();
    DigitsKit fresh("nag", everything_on());
    const fs::path last = folder.path() / "checkpoints" / "last.safetensors";
    unpack(read_safetensors(last), fresh, last.string());
    hopping = std::move(fresh);
    if (status.state == record::State::finished) break;
    ASSERT_EQ(status.state, record::State::interrupted);
  }
  EXPECT_EQ(hopping.progress.epoch, options.epochs);
  expect_equal_weights(straight, hopping, "hopping");
}

/// A data set with slow batches that records on which threads they are made.
class Slow final : public data::Dataset {
 public:
  Slow(data::DatasetPtr source, std::chrono::milliseconds time) : source_(std::move(source)), time_(time) {}
  std::int64_t size() const override { return source_->size(); }
  const data::DatasetInfo& info() const override { return source_->info(); }
  at::Tensor targets() const override { return source_->targets(); }
  data::Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    std::this_thread::sleep_for(time_);
    ++(std::this_thread::get_id() == home_ ? here : elsewhere);
    return source_->get(rows, seed);
  }
  mutable std::atomic<int> here = 0, elsewhere = 0;

 private:
  data::DatasetPtr source_;
  std::chrono::milliseconds time_;
  std::thread::id home_ = std::this_thread::get_id();
};

TEST(Trainer, SlowBatchesArePreparedInAdvanceWithoutChangingThem) {
  data::Options data;
  data.train_limit = 200;
  data.test_limit = 50;
  data.augment = data::parse_augmentation("rotate=10,elastic=8:3,crop=1,flip=0.5,cutout=2");
  data::Splits here = data::open(data, 1), ahead = here;
  // Ten milliseconds are more than a tenth of any of these steps, on any machine.
  const auto slow = std::make_shared<Slow>(here.train, std::chrono::milliseconds(10));
  ahead.train = slow;
  const Options options = four_epochs();
  DigitsKit straight("adam", everything_on());
  train(straight, here, options);
  DigitsKit threaded("adam", everything_on());
  train(threaded, ahead, options);
  expect_equal_weights(straight, threaded, "ahead");
  // On this thread: before training, and in the first epoch, which showed that another thread is worthwhile.
  EXPECT_EQ(slow->here, 1 + 7);
  EXPECT_EQ(slow->elsewhere, 3 * 7);

  // Stopped in the third epoch while batches are prepared ahead, and resumed.
  const Folder folder;
  auto writer = record::Writer::create(folder.path(), {}, "", record::Json::object());
  const RunWriter run{&writer};
  DigitsKit stopped("adam", everything_on());
  const auto watch = [](const ProgressEvent& event) {
    if (event.finished != nullptr && event.epoch == 2) std::raise(SIGINT);
  };
  EXPECT_EQ(train(stopped, ahead, options, run, watch).state, record::State::interrupted);
  interrupt::clear();
  interrupt::install();
  DigitsKit resumed("adam", everything_on());
  const fs::path last = folder.path() / "checkpoints" / "last.safetensors";
  unpack(read_safetensors(last), resumed, last.string());
  EXPECT_EQ(resumed.progress.epoch, 2);
  train(resumed, ahead, options);
  expect_equal_weights(straight, resumed, "ahead, resumed");
}

TEST(Trainer, TheSameSeedGivesTheSameRecord) {
  const auto rows = [](std::uint64_t seed) {
    Options options = four_epochs();
    options.seed = seed;
    DigitsKit kit("sgd", everything_on());
    record::Json all = record::Json::array();
    train(kit, digits(), options, {}, [&](const ProgressEvent& event) {
      if (event.finished == nullptr) return;
      record::Json row = *event.finished;
      row.erase("seconds");
      row.erase("evaluation_seconds");
      all.push_back(row);
    });
    return all;
  };
  const record::Json first = rows(4);
  EXPECT_EQ(first.size(), 5U);
  EXPECT_EQ(first, rows(4));
  EXPECT_NE(first, rows(5));
  EXPECT_FALSE(first[0].contains("train_loss"));
  EXPECT_TRUE(first[0]["layers"][0].contains("factor"));
  EXPECT_FALSE(first[4]["layers"][2].contains("factor")) << "the output layer is never modulated";
  EXPECT_GT(first[4]["layers"][2]["gradient_norm"].get<double>(), 0);
}

TEST(Trainer, LearnsTheDigits) {
  DigitsKit kit("momentum");
  kit.schedule = optim::make_schedule({}, 0, 12);
  Options options = four_epochs();
  options.epochs = 12;
  train(kit, digits(), options);
  EXPECT_GT(evaluate(*kit.model, *digits().test, kit.criterion).score, 0.7);
}

/// What a run with early stopping or without it wrote to test-correct.npy, and the record.
record::Run recorded(const fs::path& folder, const Options& options, DigitsKit& kit) {
  record::Identity identity;
  identity.arm = "bp";
  auto writer = record::Writer::create(folder, identity, "", record::Json::object());
  const RunWriter run{&writer};
  train(kit, digits(), options, run);
  return record::load(folder);
}

TEST(Trainer, RecordsWhichTestExamplesAreRightAtTheEnd) {
  const Folder folder;
  DigitsKit kit("sgd");
  const record::Run run = recorded(folder.path(), four_epochs(), kit);
  const at::Tensor correct = evaluate(*kit.model, *digits().test, kit.criterion).correct;
  ASSERT_EQ(run.test_correct.size(), 50u);
  for (std::int64_t i = 0; i < 50; ++i) EXPECT_EQ(run.test_correct[i], correct[i].item<std::int64_t>() == 1) << i;
  EXPECT_EQ(fs::file_size(folder.path() / "test-correct.npy"), 128 + 7);
}

TEST(Trainer, RecordsTheTestExamplesOfTheEpochThatCounts) {
  const Folder folder;
  Options options = four_epochs();
  options.epochs = 40;
  options.patience = 2;
  DigitsKit kit("sgd", {}, 0.3, options);
  const record::Run run = recorded(folder.path(), options, kit);
  ASSERT_LT(run.status.counts, run.epochs.back()["epoch"]);  // it stopped after its best epoch
  const auto right = std::count(run.test_correct.begin(), run.test_correct.end(), true);
  EXPECT_NEAR(static_cast<double>(right) / 50, record::result_row(run)["test_accuracy"].get<double>(), 1e-12);
}

TEST(Trainer, DivergenceIsAStatusNotAnException) {
  nn::Options network;
  network.activation = "identity";
  for (const char* modulation : {"none", "grapes"}) {
    network.rule.modulation = modulation;
    DigitsKit kit("sgd", network);
    kit.learning_rate = 1e6;
    const auto status = train(kit, digits(), four_epochs());
    EXPECT_EQ(status.state, record::State::diverged);
    EXPECT_NE(status.message.find("epoch 1"), std::string::npos) << status.message;
  }
}

TEST(Checkpoint, ACheckpointOfAnotherNetworkIsAnError) {
  DigitsKit kit("sgd");
  Tensors content = pack(kit);
  content.tensors.erase("layers.1.weight");
  try {
    load_weights(content, *kit.model, "FILE");
    FAIL() << "accepted";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("FILE"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("layers.1.weight"), std::string::npos);
  }
  content.tensors["layers.1.weight"] = at::zeros({9, 13});
  EXPECT_THROW(load_weights(content, *kit.model, "FILE"), DataError);
}

TEST(Metrics, AccuracyAndRSquaredEqualTheirDefinitions) {
  data::DatasetInfo info{data::ProblemKind::regression, {1}, 2, {}};
  const at::Tensor t = at::tensor({0.f, 0.f, 2.f, 4.f}).view({2, 2});
  const auto values = data::memory(at::zeros({2, 1}), t, info);
  Metrics perfect(*values), mean(*values);
  perfect.add(0, t, {{}, t});
  EXPECT_DOUBLE_EQ(perfect.score(), 1);
  mean.add(0, at::tensor({1.f, 2.f}).expand({2, 2}), {{}, t});
  EXPECT_DOUBLE_EQ(mean.score(), 0);

  info = {data::ProblemKind::classification, {1}, 2, {}};
  const auto classes = data::memory(at::zeros({3, 1}), at::tensor({0, 1, 1}, at::kLong), info);
  Metrics accuracy(*classes);
  accuracy.add(2, at::tensor({1.f, 0.f, 0.f, 1.f}).view({2, 2}), {{}, at::tensor({0, 1}, at::kLong)});
  accuracy.add(5, at::tensor({1.f, 0.f}).view({1, 2}), {{}, at::tensor({1}, at::kLong)});
  EXPECT_DOUBLE_EQ(accuracy.score(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(accuracy.loss(), 3);
}

class Environment : public ::testing::Environment {
  void SetUp() override { interrupt::install(); }
};
[[maybe_unused]] const auto* environment = ::testing::AddGlobalTestEnvironment(new Environment);

record::Json rows_of(const nn::Options& network, bool measured, std::vector<at::Tensor>* weights = nullptr) {
  const Folder folder;
  Options options = four_epochs();
  options.epochs = 2;
  options.record_alignment = options.record_dose = measured;
  DigitsKit kit("momentum", network, 0.05, options);
  record::Writer writer = record::Writer::create(folder.path() / "run", {}, "", {});
  train(kit, digits(), options, {&writer, false});
  if (weights != nullptr)
    for (const nn::Named& parameter : kit.model->parameters()) weights->push_back(parameter.value.detach().clone());
  record::Json rows = record::Json::array();
  std::istringstream lines(read_file(folder.path() / "run" / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) rows.push_back(record::Json::parse(line));
  return rows;
}

TEST(Trainer, RecordingAlignmentDoesNotChangeTraining) {
  for (const std::string route : {"bp", "fa", "dfa", "kolen-pollack", "usf", "brsf"}) {
    nn::Options network = everything_on();
    network.rule.route = route;
    network.rule.responsibility = credit::Responsibility::incoming;
    std::vector<at::Tensor> with, without;
    const record::Json rows = rows_of(network, true, &with), plain = rows_of(network, false, &without);
    for (std::size_t i = 0; i < with.size(); ++i) EXPECT_TRUE(at::equal(with[i], without[i])) << route << " " << i;
    ASSERT_EQ(rows.size(), 3U);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      EXPECT_FALSE(plain[r]["layers"][0].contains("alignment"));
      ASSERT_EQ(rows[r]["layers"].size(), 3U);
      for (std::size_t l = 0; l < 3; ++l) {
        const record::Json& row = rows[r]["layers"][l]["alignment"];
        EXPECT_EQ(row["transport"].get<double>() > 1e-3, route != "bp" && l < 2) << route << ", layer " << l;
        EXPECT_EQ(row["modulation"].get<double>() > 1e-3, l < 2) << route << ", layer " << l;
        EXPECT_EQ(row.contains("feedback"), route != "bp" && route != "dfa" && l > 0) << route << ", layer " << l;
      }
    }
  }
}

TEST(Trainer, TheDoseIsTheAngleToTheGradientWithoutModulationAndTheSpreadOfResponsibilities) {
  for (const std::string modulation : {"none", "grapes-local", "constant", "norm-matched", "balanced"}) {
    nn::Options network;
    network.bias = true;
    network.rule.modulation = modulation;
    network.rule.constants = {3};
    std::vector<at::Tensor> weights;
    const record::Json rows = rows_of(network, true, &weights), last = rows.back()["layers"];
    for (std::size_t l = 0; l < 3; ++l) {
      const record::Json& dose = last[l]["dose"];
      const auto angle = dose["angle"].get<double>(), size = dose["size"].get<double>();
      const bool turns = modulation == "balanced" || (modulation == "grapes-local" && l < 2);
      EXPECT_EQ(angle > 1e-3, turns) << modulation << ", layer " << l;
      if (modulation == "grapes-local") {
        EXPECT_LE(angle, 19.5) << "the bound of factors between 1 and 2";
      }
      if (modulation == "none" || (l == 2 && !turns)) {
        EXPECT_NEAR(size, 1, 1e-6) << modulation;
      }
      if (modulation == "constant") {
        EXPECT_NEAR(size, l == 0 ? 9 : l == 1 ? 3 : 1, 1e-5) << "it compounds";
      }
      if (modulation == "norm-matched" && l < 2) {
        EXPECT_GT(size, 1.2);
      }
      ASSERT_EQ(dose.contains("responsibility"), l < 2);
      EXPECT_GT(last[l]["update_norm"].get<double>(), 0);
      if (l == 2) continue;
      const at::Tensor r = weights[2 * l].to(at::kDouble).abs().sum(1);
      EXPECT_NEAR(dose["responsibility"]["mean"].get<double>(), r.mean().item<double>(), 1e-5);
      EXPECT_NEAR(dose["responsibility"]["cv"].get<double>(), (r.std(false) / r.mean()).item<double>(), 1e-6);
    }
  }
}

TEST(Trainer, AnglesEqualValuesByHand) {
  const auto x = at::tensor({1.0, 0.0, 0.0}), y = at::tensor({1.0, 1.0, 0.0});
  EXPECT_NEAR(angle(x, y), 45, 1e-12);
  EXPECT_NEAR(angle(x, -3 * x), 180, 1e-12);
  EXPECT_EQ(angle(y, y), 0);
  EXPECT_TRUE(std::isnan(angle(x, at::zeros({3}))));
}

}  // namespace
}  // namespace grapes::train
