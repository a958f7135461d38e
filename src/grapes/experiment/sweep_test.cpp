#include "grapes/experiment/sweep.h"

#include "grapes/base/file.h"
#include "grapes/experiment/experiment_test.h"
#include "grapes/experiment/key.h"
#include "grapes/experiment/toml.h"
#include "grapes/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace grapes::experiment {
namespace {
namespace fs = std::filesystem;

Config small() {
  Config config;
  config.data.train_limit = 100;
  config.data.test_limit = 50;
  config.network.model = nn::parse_model("mlp:8");
  config.training.epochs = 1;
  config.compare.arms = {"bp", "grapes"};
  config.compare.seeds = 2;
  config.compare.sweep = {"precision", "weights=int{}:stochastic"};
  config.compare.sweep_values = {4, 8};
  return config;
}

std::string refusal_of(const Config& config) {
  return refusal(
      [&] { sweep(config, data::open(config.data, 1), fs::temp_directory_path() / "never", Begin::create, {}); });
}

TEST(Sweep, SetsTheKeyAndNothingElse) {
  const Config one = at_value(small(), 4);
  EXPECT_EQ(one.network.precision, nn::parse_precision("weights=int4:stochastic"));
  EXPECT_FALSE(one.compare.sweep);
  Config back = small();
  back.network.precision = nn::parse_precision("weights=int4:stochastic");
  back.compare.sweep = {}, back.compare.sweep_values.clear();
  EXPECT_EQ(to_toml(one), to_toml(back));
}

std::vector<double> scores(const Outcome& outcome, std::size_t condition, std::size_t arm) {
  return outcome.summary->conditions[condition].arms[arm][outcome.summary->primary()].values();
}

TEST(Sweep, EachValueEqualsASeparateComparison) {
  const fs::path folder = fs::temp_directory_path() / ("grapes-sweep-" + std::to_string(::getpid()));
  const Config config = small();
  const data::Splits splits = data::open(config.data, 1);
  const Outcome all = sweep(config, splits, folder / "sweep", Begin::create, {});
  EXPECT_EQ(all.state, record::State::finished);
  ASSERT_EQ(all.summary->conditions.size(), 2u);
  const Outcome alone = compare(at_value(config, 8), splits, folder / "alone", Begin::create, {});
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(scores(all, 1, i), scores(alone, 0, i));
  EXPECT_NE(scores(all, 0, 0), scores(alone, 0, 0));
  for (const char* file :
       {"summary.json", "picture.svg", "sweep.json", "report.html", "config.toml", "4/report.html", "8/report.html"})
    EXPECT_TRUE(fs::exists(folder / "sweep" / file)) << file;
  // Resumed, it finds all runs finished and returns the same.
  EXPECT_EQ(report::to_json(*sweep(config, splits, folder / "sweep", Begin::resume, {}).summary),
            report::to_json(*all.summary));
  Config quicker = config;
  quicker.jobs = 1;
  EXPECT_EQ(report::to_json(*sweep(quicker, splits, folder / "sweep", Begin::resume, {}).summary),
            report::to_json(*all.summary));
  // The page depends on the records only.
  EXPECT_EQ(report::html(report::summarize(report::read({folder / "sweep"}))), read_file(folder / "sweep/report.html"));
  EXPECT_THROW(sweep(config, splits, folder / "sweep", Begin::create, {}), DataError);
  fs::remove_all(folder);
}

TEST(Sweep, InvalidSweepsAreErrors) {
  using testing::HasSubstr;
  Config config = small();
  const auto set_sweep = [&](const std::string& text) { return refusal([&] { set(config, "sweep", text); }); };
  EXPECT_THAT(set_sweep("precision"), HasSubstr("sweep = 'precision': expected KEY=TEXT with {}"));
  EXPECT_THAT(set_sweep("precision={"), HasSubstr("expected KEY=TEXT with {}"));
  EXPECT_THAT(set_sweep("factorbits={}"), HasSubstr("did you mean 'factor-bits'?"));
  for (const char* same : {"train-limit={}", "modulation=constant:{}", "seeds={}", "sweep={}", "seed={}", "threads={}"})
    EXPECT_THAT(set_sweep(same), HasSubstr("cannot be swept")) << same;
  set(config, "sweep", "model=mlp:{}");
  config.compare.sweep_values = {8, 0};  // checked before the first one starts
  EXPECT_THAT(refusal_of(config), HasSubstr("mlp:0"));
  EXPECT_FALSE(fs::exists(fs::temp_directory_path() / "never"));
  config = small();
  config.compare.sweep_values = {4, 4};
  EXPECT_THAT(refusal_of(config), HasSubstr("duplicate value 4"));
  config.compare.sweep_values = {99};
  EXPECT_THAT(refusal_of(config), HasSubstr("int99"));
  config.compare.sweep_values = {};
  EXPECT_THAT(refusal_of(config), HasSubstr("needs sweep-values"));
}

}  // namespace
}  // namespace grapes::experiment
