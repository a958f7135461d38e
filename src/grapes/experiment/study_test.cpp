#include "grapes/experiment/study.h"

#include "grapes/base/file.h"
#include "grapes/base/interrupt.h"
#include "grapes/experiment/grid.h"
#include "grapes/train/safetensors.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace grapes::experiment {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Compare : public ::testing::Test {
 protected:
  Compare() {
    std::string pattern = (fs::temp_directory_path() / "grapes-compare-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    config_.data.train_limit = 200;
    config_.data.test_limit = 100;
    config_.data.validation_split = 50;
    config_.network.model = nn::parse_model("mlp:8,8");
    config_.training.epochs = 2;
    config_.training.batch_size = 32;
    config_.compare.arms = {"bp", "grapes", "shuffled"};
    config_.compare.seeds = 2;
    config_.jobs = 2;
    splits_ = data::open(config_.data, 1);
  }
  ~Compare() override {
    interrupt::clear();
    fs::remove_all(folder_);
  }

  Outcome run(const std::string& name, bool resume = false, const Overview& overview = {}) {
    return compare(config_, splits_, folder_ / name, resume ? Begin::resume : Begin::create, overview);
  }
  record::Run run_of(const std::string& name, const std::string& arm, int seed) {
    return record::load(folder_ / name / "arms" / arm / ("seed-" + std::to_string(seed)));
  }
  record::Json status_of(const std::string& name) {
    return record::Json::parse(read_file(folder_ / name / "status.json"));
  }
  /// The records of a comparison's runs, without times.
  std::map<std::string, std::vector<record::Json>> rows(const std::string& name) {
    std::map<std::string, std::vector<record::Json>> rows;
    for (record::Run& run : record::load_all({folder_ / name / "arms"})) {
      for (record::Json& row : run.epochs) {
        row.erase("seconds");
        row.erase("evaluation_seconds");
      }
      rows[run.identity.arm + " " + std::to_string(run.identity.seed)] = run.epochs;
    }
    return rows;
  }

  fs::path folder_;
  Config config_;
  data::Splits splits_;
};

TEST_F(Compare, ArmsOfOneSeedStartFromTheSameWeights) {
  const Outcome outcome = run("a");
  EXPECT_EQ(outcome.state, record::State::finished);
  EXPECT_TRUE(fs::exists(outcome.report));
  EXPECT_EQ(status_of("a")["state"], "finished");
  for (const int seed : {1, 2}) {
    const record::Run bp = run_of("a", "bp", seed);
    EXPECT_EQ(bp.epochs.size(), 3U);
    for (const char* arm : {"grapes", "shuffled"}) {
      const record::Run other = run_of("a", arm, seed);
      EXPECT_EQ(other.identity.pairing, bp.identity.pairing);
      EXPECT_EQ(other.epochs[0]["test_loss"], bp.epochs[0]["test_loss"]) << arm;
      EXPECT_NE(other.epochs[2]["test_loss"], bp.epochs[2]["test_loss"]) << arm;
    }
  }
  EXPECT_NE(run_of("a", "bp", 1).epochs[0]["test_loss"], run_of("a", "bp", 2).epochs[0]["test_loss"]);
}

/// The fractions of the weights of each layer that are not 0, and the weights, in a run's last checkpoint.
std::pair<std::vector<double>, std::vector<at::Tensor>> weights_in(const fs::path& run) {
  std::pair<std::vector<double>, std::vector<at::Tensor>> all;
  for (const auto& [name, W] : train::read_safetensors(run / "checkpoints" / "last.safetensors").tensors)
    if (name.starts_with("layers.") && name.ends_with(".weight")) {
      all.first.push_back((W != 0).to(at::kDouble).mean().item<double>());
      all.second.push_back(W);
    }
  return all;
}

TEST_F(Compare, ArmsOfOneSeedGoOnFromTheSamePrunedNetworkOfThatSeed) {
  config_.compare.arms = {"bp"};
  run("whole");
  config_.initial_weights = (folder_ / "whole/arms/bp/seed-{seed}/checkpoints/last.safetensors").string();
  config_.compare.arms = {"bp", "grapes"};
  run("trained on");
  config_.network.prune = 0.25;
  run("pruned");
  for (const int seed : {1, 2}) {
    const auto end = run_of("whole", "bp", seed).epochs.back();
    EXPECT_EQ(run_of("trained on", "grapes", seed).epochs[0]["test_loss"], end["test_loss"]);
    const record::Run bp = run_of("pruned", "bp", seed), grapes = run_of("pruned", "grapes", seed);
    EXPECT_EQ(bp.epochs[0]["test_loss"], grapes.epochs[0]["test_loss"]);
    EXPECT_NE(bp.epochs[0]["test_loss"], end["test_loss"]);
    EXPECT_NE(bp.epochs[2]["test_loss"], grapes.epochs[2]["test_loss"]);
    const std::string name = "seed-" + std::to_string(seed);
    const auto [kept, after] = weights_in(folder_ / "pruned/arms/grapes" / name);
    const auto before = weights_in(folder_ / "whole/arms/bp" / name).second;
    ASSERT_EQ(kept.size(), 3U);
    for (std::size_t l = 0; l < kept.size(); ++l) {
      EXPECT_DOUBLE_EQ(kept[l], 0.25);
      const at::Tensor removed = before[l].abs().masked_select(after[l] == 0);
      EXPECT_LE(removed.max().item<float>(), before[l].abs().masked_select(after[l] != 0).min().item<float>());
    }
  }
  config_.initial_weights = (folder_ / "whole/arms/bp/seed-{seed}.safetensors").string();
  EXPECT_THAT([&] { run("missing"); }, ::testing::ThrowsMessage<DataError>(HasSubstr("initial-weights: there is no")));
}

TEST_F(Compare, ResumedRunsOfSparseNetworksKeepTheirMasks) {
  config_.network.fan_in = nn::parse_fan_in("hubs:2,6,0.2");
  config_.network.prune = 0.2;
  config_.compare.arms = {"bp", "grapes"};
  config_.training.checkpoint_every = 1;
  run("whole");
  interrupt::install();
  const Outcome stopped = run("halves", false, [](const Stage& stage) {
    if (stage.epochs_done > 1.5 && interrupt::pending() == 0) std::raise(SIGTERM);
  });
  EXPECT_EQ(stopped.state, record::State::interrupted);
  interrupt::clear();
  EXPECT_EQ(run("halves", true).state, record::State::finished);
  EXPECT_EQ(rows("halves"), rows("whole"));
  const auto whole = weights_in(folder_ / "whole/arms/grapes/seed-2"),
             halves = weights_in(folder_ / "halves/arms/grapes/seed-2");
  EXPECT_LE(whole.first[0], 0.2);
  for (std::size_t l = 0; l < 3; ++l) EXPECT_TRUE(at::equal(whole.second[l], halves.second[l]));
}

TEST_F(Compare, TheNumberOfJobsDoesNotChangeResults) {
  run("two");
  config_.jobs = 1;
  run("one");
  EXPECT_EQ(rows("one").size(), 6U);
  EXPECT_EQ(rows("one"), rows("two"));
}

TEST_F(Compare, ResumingAfterASignalGivesTheSameResult) {
  run("whole");
  interrupt::install();
  const Outcome stopped = run("halves", false, [](const Stage& stage) {
    if (stage.epochs_done > 2.5 && interrupt::pending() == 0) std::raise(SIGTERM);
  });
  EXPECT_EQ(stopped.state, record::State::interrupted);
  EXPECT_TRUE(stopped.report.empty());
  EXPECT_EQ(status_of("halves")["state"], "interrupted");
  EXPECT_LT(rows("halves").size(), 6U);

  interrupt::clear();
  const Outcome resumed = run("halves", true);
  EXPECT_EQ(resumed.state, record::State::finished);
  EXPECT_EQ(rows("halves"), rows("whole"));
}

TEST_F(Compare, ResumingKeepsFinishedRunsAndRepeatsMissingOnes) {
  run("a");
  const auto before = rows("a");
  fs::remove_all(folder_ / "a" / "arms" / "grapes");
  const auto kept = fs::last_write_time(folder_ / "a" / "arms" / "bp" / "seed-1" / "metrics.jsonl");
  EXPECT_EQ(run("a", true).state, record::State::finished);
  EXPECT_EQ(rows("a"), before);
  EXPECT_EQ(fs::last_write_time(folder_ / "a" / "arms" / "bp" / "seed-1" / "metrics.jsonl"), kept);
}

TEST_F(Compare, TuningChoosesTheRateWithTheBestRecordedValidationScore) {
  config_.compare.arms = {"bp", "grapes"};
  config_.compare.tune = true;
  config_.compare.grid = {1e30, 0.2, 0.001};  // the first one diverges
  config_.compare.tune_epochs = 3;
  config_.compare.tune_seeds = 2;
  EXPECT_EQ(run("a").state, record::State::finished);

  const record::Json saved = record::Json::parse(read_file(folder_ / "a" / "compare.json"));
  EXPECT_EQ(saved["tuning"]["grid"], record::Json({0.001, 0.2, 1e30}));
  for (const char* arm : {"bp", "grapes"}) {
    const auto mean = [&](const char* rate) {
      double sum = 0;
      for (const char* seed : {"seed-1001", "seed-1002"}) {
        const record::Run trial = record::load(folder_ / "a" / "tuning" / arm / rate / seed);
        EXPECT_EQ(trial.epochs.back()["epoch"], 3);
        EXPECT_FALSE(trial.epochs.back().contains("test_loss")) << "test examples must not be there to choose by";
        EXPECT_FALSE(fs::exists(trial.folder / "checkpoints"));
        sum += trial.epochs.back()["validation_accuracy"].get<double>();
      }
      return sum / 2;
    };
    const record::Json& found = saved["tuning"]["arms"][arm];
    EXPECT_DOUBLE_EQ(found["tried"][0]["validation_mean"].get<double>(), mean("0.001"));
    EXPECT_DOUBLE_EQ(found["tried"][1]["validation_mean"].get<double>(), mean("0.2"));
    EXPECT_TRUE(found["tried"][2]["validation_mean"].is_null()) << "both seeds diverge";
    const double best = mean("0.2") > mean("0.001") ? 0.2 : 0.001;
    EXPECT_EQ(found["chosen"], best);
    EXPECT_EQ(saved["learning_rates"][arm], best);
    EXPECT_EQ(run_of("a", arm, 1).epochs.back()["learning_rate"], best);
  }
}

/// The rates that were tried for an arm with their scores, and the chosen one.
std::pair<std::map<double, double>, double> rates_of(const record::Json& tuning, const std::string& arm) {
  std::map<double, double> tried;
  for (const record::Json& one : tuning["arms"][arm]["tried"])
    tried[one["learning_rate"]] = one["validation_mean"].is_null() ? -1 : one["validation_mean"].get<double>();
  return {tried, tuning["arms"][arm]["chosen"]};
}

TEST_F(Compare, AGridIsExtendedAtItsBestEndUntilTheBestRateIsInside) {
  config_.compare.arms = {"bp", "grapes"};
  config_.compare.seeds = 1;
  config_.compare.tune = true;
  config_.compare.tune_epochs = 4;
  config_.compare.grid = {0.02, 0.04};
  config_.compare.extend_grid = 3;
  run("a");
  const record::Json tuning = record::Json::parse(read_file(folder_ / "a" / "compare.json"))["tuning"];
  for (const char* arm : {"bp", "grapes"}) {
    const auto [tried, chosen] = rates_of(tuning, arm);
    // The same, from the recorded scores.
    std::vector<double> rates = config_.compare.grid;
    const auto best = [&, &scores = tried] {
      return *std::ranges::max_element(rates, {}, [&](double rate) { return scores.at(rate); });
    };
    for (int i = 0; i < 3 && (best() == rates.front() || best() == rates.back()); ++i) {
      for (const double rate : continuation(rates, best() == rates.back(), 4)) {
        ASSERT_TRUE(tried.contains(rate)) << rate;
        rates.push_back(rate);
      }
      std::ranges::sort(rates);
    }
    EXPECT_GE(rates.size(), 6u);  // one of two rates is at an end
    EXPECT_EQ(tried.size(), rates.size());
    EXPECT_EQ(chosen, best());
    // Runs of extensions that were not needed do not exist.
    const fs::path folder = folder_ / "a" / "tuning" / arm;
    EXPECT_EQ(static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {})), tried.size());
  }
  const auto before = rows("a");
  run("a", true);  // nothing is left to do
  EXPECT_EQ(rows("a"), before);
  EXPECT_EQ(record::Json::parse(read_file(folder_ / "a" / "compare.json"))["tuning"], tuning);
}

TEST_F(Compare, AGridWhoseBestRateIsInsideIsNotExtended) {
  config_.compare.arms = {"bp"};
  config_.compare.seeds = 1;
  config_.compare.tune = true;
  config_.compare.grid = {1e-6, 0.1, 1e6};
  config_.compare.extend_grid = 2;
  run("a");
  const record::Json tuning = record::Json::parse(read_file(folder_ / "a" / "compare.json"))["tuning"];
  EXPECT_EQ(rates_of(tuning, "bp").first.size(), 3u);
  EXPECT_EQ(rates_of(tuning, "bp").second, 0.1);
}

TEST_F(Compare, PartsExtendAGridAsOneProcessDoes) {
  config_.compare.arms = {"bp"};
  config_.compare.seeds = 2;
  config_.compare.tune = true;
  config_.compare.tune_epochs = 1;
  config_.compare.grid = {0.0001, 0.0002};
  config_.compare.extend_grid = 1;
  run("one");
  for (int pass = 0; pass < 3; ++pass)  // the grid, its extension, the runs at the chosen rate
    for (const char* part : {"1/2", "2/2"})
      compare(config_, splits_, folder_ / "parts", Begin::join, {}, parse_shard(part));
  EXPECT_EQ(rows("parts"), rows("one"));
}

TEST_F(Compare, TiesChooseTheSmallerRateAndResumingKeepsTheChoice) {
  config_.compare.arms = {"bp", "mine"};
  config_.own_arms["mine"] = {{"modulation", "uniform"}, {"learning-rate", "0.07"}};
  config_.compare.tune = true;
  config_.compare.grid = {1e-9, 1e-10};  // too small to change any prediction
  run("a");
  record::Json saved = record::Json::parse(read_file(folder_ / "a" / "compare.json"));
  EXPECT_EQ(saved["learning_rates"]["bp"], 1e-10);
  EXPECT_EQ(saved["learning_rates"]["mine"], 0.07) << "an arm that names its rate keeps it";
  EXPECT_TRUE(saved["tuning"]["arms"]["mine"]["tried"].empty());

  saved["learning_rates"]["bp"] = 0.3;
  write_file(folder_ / "a" / "compare.json", saved.dump());
  fs::remove_all(folder_ / "a" / "tuning");
  fs::remove_all(folder_ / "a" / "arms" / "bp" / "seed-1");
  run("a", true);
  EXPECT_EQ(run_of("a", "bp", 1).epochs.back()["learning_rate"], 0.3);
  EXPECT_FALSE(fs::exists(folder_ / "a" / "tuning"));
}

TEST_F(Compare, AnArmDoesNotWaitForTheTuningOfOthers) {
  config_.compare.arms = {"bp", "mine"};
  config_.own_arms["mine"] = {{"modulation", "uniform"}, {"learning-rate", "0.07"}};
  config_.compare.tune = true;
  config_.compare.grid = {0.1};
  config_.compare.tune_epochs = 60;
  bool tuned = false, early = false;
  run("a", false, [&](const Stage& stage) {
    if (stage.what == "tuning") tuned = stage.runs_done == stage.runs;
    if (stage.what == "comparing") early |= !tuned && stage.runs_done > 0;
  });
  EXPECT_TRUE(early);
}

TEST_F(Compare, ProcessesThatShareItWriteWhatOneWrites) {
  config_.jobs = 1;
  run("whole");
  const Shard shard{.kind = Shard::Kind::claimed, .heartbeat = 0.2};
  std::vector<std::thread> workers;
  for (int k = 0; k < 3; ++k)
    workers.emplace_back([&] {
      const Outcome outcome = compare(config_, splits_, folder_ / "shared", Begin::join, {}, shard);
      EXPECT_EQ(outcome.state, record::State::finished);
      EXPECT_EQ(outcome.done, 6U);
    });
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(rows("shared"), rows("whole"));
  EXPECT_FALSE(has_workers(folder_ / "shared"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "shared" / "arms" / "bp"), {}), 2) << "no claim is left";
}

TEST_F(Compare, AFailedTrialChoosesNoLearningRate) {
  config_.jobs = 1;
  config_.compare.arms = {"bp", "grapes"};
  config_.compare.tune = true;
  config_.compare.grid = {0.05, 0.1};
  run("whole");
  const fs::path trial = folder_ / "a" / "tuning" / "bp" / "0.1" / "seed-1001";
  const auto worker = [&](const Overview& overview) {
    return compare(config_, splits_, folder_ / "a", Begin::join, overview, {.kind = Shard::Kind::claimed});
  };
  const auto fail = [&](const Stage& stage) {  // as in another process
    if (stage.what != "tuning" || stage.runs_done != 1 || record::is_run(trial)) return;
    record::Status status;
    status.state = record::State::failed;
    status.message = "the disk is full";
    record::Writer::create(trial, {.arm = "bp", .seed = 1001}, "", record::Json::object()).status(status);
  };
  EXPECT_THAT([&] { worker(fail); }, ::testing::ThrowsMessage<RunError>(
                                         ::testing::AllOf(HasSubstr(trial.string()), HasSubstr("the disk is full"))));
  EXPECT_TRUE(record::Json::parse(read_file(folder_ / "a" / "compare.json"))["tuning"].is_null());
  EXPECT_FALSE(fs::exists(folder_ / "a" / "arms" / "bp")) << "its learning rate is not known";
  EXPECT_EQ(rows("a").size(), 2U) << "the other arm has its runs";

  EXPECT_EQ(worker({}).state, record::State::finished) << "the next worker tries the trial again";
  EXPECT_EQ(rows("a"), rows("whole"));
  EXPECT_EQ(read_file(folder_ / "a" / "compare.json"), read_file(folder_ / "whole" / "compare.json"));
}

TEST_F(Compare, ALateWorkerDoesNotReopenAStudyThatHasEnded) {
  run("a");
  const auto late = [&](const Stage&) { EXPECT_EQ(status_of("a")["state"], "finished"); };
  EXPECT_EQ(compare(config_, splits_, folder_ / "a", Begin::join, late, {.kind = Shard::Kind::claimed}).state,
            record::State::finished);
}

TEST_F(Compare, PartsAreCarriedOutOneAfterTheOther) {
  run("whole");
  const auto part = [&](std::int64_t which) {
    return compare(config_, splits_, folder_ / "parts", Begin::join, {}, {Shard::Kind::part, which, 2});
  };
  const Outcome first = part(2);
  EXPECT_EQ(first.state, record::State::running);
  EXPECT_EQ(first.done, 3U);
  EXPECT_FALSE(first.summary);
  EXPECT_EQ(part(1).state, record::State::finished);
  EXPECT_EQ(rows("parts"), rows("whole"));
}

TEST_F(Compare, ADivergedArmDoesNotStopTheOthers) {
  config_.compare.arms = {"wild", "bp"};
  config_.own_arms["wild"] = {{"learning-rate", "1e30"}};
  const Outcome outcome = run("a");
  EXPECT_EQ(outcome.state, record::State::diverged);
  EXPECT_EQ(run_of("a", "wild", 1).status.state, record::State::diverged);
  EXPECT_EQ(run_of("a", "wild", 2).status.state, record::State::diverged);
  EXPECT_EQ(run_of("a", "bp", 2).status.state, record::State::finished);
  EXPECT_TRUE(fs::exists(outcome.report));
}

TEST_F(Compare, ThereIsNoReportIfAllRunsDiverge) {
  config_.optimizer.learning_rate = 1e30;
  const Outcome outcome = run("a");
  EXPECT_EQ(outcome.state, record::State::diverged);
  EXPECT_TRUE(outcome.report.empty());
  EXPECT_THAT(status_of("a")["message"], HasSubstr("every run diverged"));
}

TEST_F(Compare, ARunThatCannotBeWrittenStopsTheComparison) {
  write_file(folder_ / "a" / "arms" / "grapes", "a file where a folder must be");
  config_.training.epochs = 50;
  try {
    run("a");
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("grapes"));
  }
  EXPECT_EQ(status_of("a")["state"], "failed");
  EXPECT_THAT(status_of("a")["message"], HasSubstr("grapes"));
  EXPECT_EQ(run_of("a", "bp", 1).status.state, record::State::failed);
  EXPECT_FALSE(fs::exists(folder_ / "a" / "arms" / "bp" / "seed-2"));
}

TEST_F(Compare, InvalidSettingsAreErrorsBeforeAnythingIsWritten) {
  EXPECT_THROW(run("a", true), DataError) << "there is nothing to resume";
  config_.network.model = {"mlp", {0}};
  EXPECT_THROW(run("a"), UsageError);
  const auto refused = [&](const std::string& words) {
    EXPECT_THAT([&] { run("a"); }, ::testing::ThrowsMessage<UsageError>(words));
  };
  config_.network.model = nn::parse_model("cnn:8,8,8,8");
  refused("model 'cnn:8,8,8,8': the images are too small: a map of 1 × 1 is smaller than a pooling window of 2 × 2");
  config_.network.model = nn::parse_model("mlp:8,8");
  config_.network.precision = nn::parse_precision("weights=int8");
  config_.compare.arms = {"bp", "ifa"};
  refused("precision: number formats are not supported on route ifa; got weights=int8");
  config_.network.precision = {};
  config_.network.analog.device = {"reram"};
  refused("route ifa is not supported with analog crossbars");
  config_.network.analog.device.reset();
  // All arms are checked without their weights, which would need 4 TB here.
  config_.network.model = nn::parse_model("mlp:1000000,1000000");
  config_.compare.arms = {"bp", "grapes", "eprop"};
  refused("route eprop is only supported in spiking networks; model is 'mlp:1000000,1000000'");
  config_.network.model = nn::parse_model("mlp:8,8");
  config_.own_arms["../mine"] = {{"modulation", "uniform"}};
  config_.compare.arms = {"bp", "../mine"};
  EXPECT_THROW(run("a"), UsageError) << "an arm is a folder";
  config_.compare.arms = {"bp"};
  config_.compare.tune = true;
  splits_.validation = data::subset(splits_.validation, at::empty({0}, at::kLong));
  EXPECT_THROW(run("a"), UsageError) << "no examples to tune by";
  EXPECT_TRUE(fs::is_empty(folder_));

  config_.compare.tune = false;
  config_.own_arms.clear();
  run("a");
  EXPECT_THROW(run("a"), DataError) << "taken";
  config_.training.epochs = 3;
  EXPECT_THROW(run("a", true), UsageError) << "another configuration";
}

}  // namespace
}  // namespace grapes::experiment
