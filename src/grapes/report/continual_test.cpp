#include "grapes/report/continual.h"

#include "grapes/base/random.h"
#include "grapes/report/continual_plots.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace grapes::report {
namespace {

using record::Json;
using Runs = std::vector<record::Run>;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A run of three tasks that ends `better` above its seed's level and forgets `forgets` of every task.
record::Run run(const std::string& arm, std::uint64_t seed, double better, double forgets, double rate = 0.001,
                const std::string& method = "none") {
  Random random(stream_seed(seed, "level"));
  const double level = 0.9 + 0.01 * random.uniform() + better;
  record::Run run;
  run.folder = "runs/" + arm + "/seed-" + std::to_string(seed);
  run.identity = {arm, seed, "mnist", "mlp:256,256", "accuracy", "alike"};
  run.config = "seed = " + std::to_string(seed) + "\n";
  run.status.state = record::State::finished;
  run.status.epoch = 3;
  run.epochs.push_back({{"epoch", 0},
                        {"learning_rate", rate},
                        {"scenario", "permuted"},
                        {"method", method},
                        {"optimizer_state", "reset"},
                        {"epochs", 1},
                        {"test_accuracy", 0.1},
                        {"test_tasks", {0.1, 0.1, 0.1}}});
  for (int i = 1; i <= 3; ++i) {
    std::vector<double> all;
    for (int j = 1; j <= 3; ++j) all.push_back(j > i ? 0.15 : level - forgets * (i - j));
    double mean = 0;
    for (int j = 0; j < i; ++j) mean += all[static_cast<std::size_t>(j)] / i;
    const Json curve = {
        {{"step", 10 * i - 5}, {"part", 0.5}, {"test", std::vector<double>(all.begin(), all.begin() + i)}}};
    const Json movement = {{"weights",
                            {{{"name", "layers.0.weight"},
                              {"weight_change", 2.0},
                              {"weight_norm", 10.0},
                              {"overlap", i > 1 ? Json(0.1) : Json()},
                              {"overlap_size", i > 1 ? Json(0.4) : Json()},
                              {"loss_increase", i > 1 ? Json(0.02 * i) : Json()},
                              {"factor_change", 0.3},
                              {"factor_loss_increase", i > 1 ? Json(0.05) : Json()}}}}};
    run.epochs.push_back({{"epoch", i},
                          {"step", 10 * i},
                          {"learning_rate", rate},
                          {"test_tasks", all},
                          {"test_accuracy", mean},
                          {"curve", curve},
                          {"forgetting", movement}});
  }
  return run;
}

/// grapes is a point better than bp, half of which uniform is too; ewc forgets less.
Runs runs() {
  Runs all;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const double noise = 0.0002 * static_cast<double>(seed % 3);
    all.push_back(run("bp", seed, 0, 0.05));
    all.push_back(run("grapes", seed, 0.01 + noise, 0.05));
    all.push_back(run("uniform", seed, 0.005 - noise, 0.05));
    all.push_back(run("ewc", seed, 0, 0.01 + noise, 0.001, "ewc"));
    all.push_back(run("ewc+grapes", seed, 0.01, 0.01, 0.001, "ewc"));
    all.push_back(run("joint", seed, 0.02, 0, 0.001, "joint"));
  }
  return all;
}

Json summary_of(const Runs& all) { return summarize_continual(all, rates_of({}, all), {}); }

std::string all_of(const Findings& findings) {
  std::string text = findings.lead + "\n";
  for (const auto& sentences : findings.settings)
    for (const std::string& sentence : sentences) text += sentence + "\n";
  for (const std::string& sentence : findings.all) text += sentence + "\n";
  return text;
}

const Json& arm(const Json& setting, const std::string& name) {
  for (const Json& one : setting["arms"])
    if (one["arm"] == name) return one;
  throw std::out_of_range(name);
}

TEST(Continual, TheMeasuresComeFromEveryRunsMatrix) {
  const Json summary = summary_of(runs());
  ASSERT_EQ(summary["settings"].size(), 1);
  const Json& setting = summary["settings"][0];
  EXPECT_EQ(setting["title"], "Every arm at the learning rate 0.001");
  const Json& bp = arm(setting, "bp");
  EXPECT_EQ(bp["n"], 8);
  // A run forgets 0.05 of a task with every later one: 0.1 of the first and 0.05 of the second.
  EXPECT_NEAR(bp["forgetting"]["mean"], 0.075, 1e-12);
  EXPECT_NEAR(bp["backward_transfer"]["mean"], -0.075, 1e-12);
  EXPECT_NEAR(bp["forward_transfer"]["mean"], 0.05, 1e-12);
  EXPECT_NEAR(bp["learning_accuracy"]["mean"].get<double>() - bp["average_accuracy"]["mean"].get<double>(), 0.05,
              1e-12);
  EXPECT_TRUE(bp["differences"].is_null());
  const Json& ahead = arm(setting, "grapes")["differences"]["average_accuracy"];
  EXPECT_NEAR(ahead["mean"], 0.01 + 0.0002, 1e-4);
  EXPECT_EQ(ahead["n"], 8);
  EXPECT_LT(ahead["p_holm"], 0.05);
  EXPECT_NEAR(arm(setting, "ewc")["differences"]["forgetting"]["mean"], 0.015 - 0.075, 1e-3);
  EXPECT_NEAR(bp["matrix"]["mean"][2][0].get<double>() - bp["matrix"]["mean"][0][0].get<double>(), -0.1, 1e-12);
  EXPECT_GT(bp["matrix"]["half_width"][0][0], 0);
  // Joint training has nothing to forget.
  EXPECT_TRUE(arm(setting, "joint")["forgetting"].is_null());
  EXPECT_FALSE(arm(setting, "joint")["differences"].contains("forgetting"));
  const Json& why = bp["why"][0];
  EXPECT_NEAR(why["weight_change"]["mean"], 0.2, 1e-12);
  EXPECT_NEAR(why["loss_increase"]["mean"], 0.05, 1e-12);
  EXPECT_EQ(why["factor_change"]["n"], 8);
}

TEST(Continual, ControlsTellWhatIsDueToWhat) {
  const Json summary = summary_of(runs());
  std::vector<std::string> pairs;
  for (const Json& control : summary["settings"][0]["controls"])
    if (control["measure"] == "average_accuracy")
      pairs.push_back(control["arm"].get<std::string>() + "-" + control["against"].get<std::string>());
  EXPECT_THAT(pairs, testing::ElementsAre("grapes-uniform", "uniform-bp", "ewc+grapes-ewc"));
  std::string said;
  said += all_of(findings_continual(summary));
  EXPECT_THAT(said, AllOf(HasSubstr("`grapes` ends with"), HasSubstr("Due to modulation by node"),
                          HasSubstr("Due to other learning rates"), HasSubstr("on `ewc`"), HasSubstr("n = 8 seeds"),
                          Not(HasSubstr("constant:2"))));
}

TEST(Continual, TheTableFitsATerminal) {
  const std::string table = table_continual(summary_of(runs()));
  for (std::size_t begin = 0; begin < table.size();) {
    const std::size_t end = table.find('\n', begin);
    EXPECT_LE(
        std::count_if(table.begin() + static_cast<std::ptrdiff_t>(begin),
                      table.begin() + static_cast<std::ptrdiff_t>(end), [](char c) { return (c & 0xC0) != 0x80; }),
        100);
    begin = end + 1;
  }
  EXPECT_THAT(table, AllOf(HasSubstr("average accuracy %"), HasSubstr("forgetting"), HasSubstr("joint")));
}

TEST(Continual, GivenAndChosenRatesAreSettingsOfTheirOwn) {
  Runs all = runs();
  for (std::uint64_t seed = 1; seed <= 8; ++seed) all.push_back(run("grapes", seed, 0.03, 0.02, 0.01));
  EXPECT_THROW(rates_of({}, all), DataError);
  Rates rates;
  rates.given = rates.chosen = Json::object();
  for (const std::string name : {"bp", "grapes", "uniform", "ewc", "ewc+grapes", "joint"})
    rates.given[name] = rates.chosen[name] = 0.001;
  rates.chosen["grapes"] = 0.01;
  rates.tuning = {{"grid", {0.001, 0.01}}, {"epochs", 1}, {"seeds", 1}, {"arms", Json::object()}};
  for (const auto& [name, rate] : rates.chosen.items())
    rates.tuning["arms"][name] = {{"chosen", rate}, {"tried", {{{"learning_rate", rate}, {"validation_mean", 0.8}}}}};
  const Json summary = summarize_continual(all, rates, {});
  ASSERT_EQ(summary["settings"].size(), 2);
  EXPECT_EQ(arm(summary["settings"][0], "grapes")["rate"], 0.001);
  EXPECT_EQ(arm(summary["settings"][1], "grapes")["rate"], 0.01);
  EXPECT_EQ(arm(summary["settings"][1], "bp")["rate"], 0.001);
  const std::string page = html_continual(all, summary);
  EXPECT_EQ(page, html_continual(all, summary));
  EXPECT_THAT(page, AllOf(HasSubstr("Each arm at its own best learning rate"), HasSubstr("id=\"task-0-0-title\""),
                          HasSubstr("id=\"method-1-ewc-title\""), HasSubstr("Choice of the learning rates")));
  EXPECT_THAT(picture_continual(all, summary), HasSubstr("Each arm at its own best learning rate"));
  std::string said;
  said += all_of(findings_continual(summary));
  EXPECT_THAT(said, HasSubstr("At the edge of the grid"));
}

TEST(Continual, ATaskIsDrawnFromItsOwnBeginningOn) {
  const Runs all = runs();
  Arm bp{"bp", {}};
  for (const record::Run& one : all)
    if (one.identity.arm == "bp") bp.runs.push_back(&one);
  const Curve second = task_curve(bp, 1);
  EXPECT_EQ(second.epoch, (std::vector<double>{1.5, 2, 2.5, 3}));
  EXPECT_NEAR(second.mean[1] - second.mean[3], 5, 1e-9);
  EXPECT_EQ(average_curve(bp).epoch, (std::vector<double>{1, 2, 3}));
}

TEST(Continual, WhatCannotStandOnOnePageIsRefused) {
  Runs all = runs();
  EXPECT_TRUE(has_tasks(all));
  all[3].epochs[0].erase("scenario");
  EXPECT_THROW(has_tasks(all), DataError);
  all = runs();
  all[3].epochs[0]["scenario"] = "rotated";
  EXPECT_THROW(summary_of(all), DataError);
  all = runs();
  for (record::Run& one : all) one.status.state = record::State::diverged;
  EXPECT_THROW(summary_of(all), DataError);
  all = runs();
  all[0].status.state = record::State::diverged;
  all[0].status.message = "the loss is nan";
  EXPECT_THAT(table_continual(summary_of(all)), HasSubstr("not counted: bp, seed 1: diverged after 3 tasks (the loss"));
}

}  // namespace
}  // namespace grapes::report
