#include "grapes/base/random.h"
#include "grapes/base/text.h"
#include "grapes/record/histogram.h"
#include "grapes/report/report.h"
#include "grapes/report/synthetic_test.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace grapes::report {
namespace {

using record::Json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A run of three tasks that ends `better` above its seed's level and forgets `forgets` of every task.
record::Run task_run(const std::string& arm, std::uint64_t seed, double better, double forgets, double rate = 0.001,
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
    const Json factor =
        record::to_json(record::histogram({1.5, 1.7, 2}, 0, 2));  // not before training, as in a real record
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
                          {"forgetting", movement},
                          {"layers", {{{"name", "layers.0"}, {"weight_norm", 3.0}, {"factor", factor}}}}});
  }
  return run;
}

/// grapes is a point better than bp, half of which uniform is too; ewc forgets less.
std::vector<record::Run> task_runs() {
  std::vector<record::Run> all;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const double noise = 0.0002 * static_cast<double>(seed % 3);
    all.push_back(task_run("bp", seed, 0, 0.05));
    all.push_back(task_run("grapes", seed, 0.01 + noise, 0.05));
    all.push_back(task_run("uniform", seed, 0.005 - noise, 0.05));
    all.push_back(task_run("ewc", seed, 0, 0.01 + noise, 0.001, "ewc"));
    all.push_back(task_run("ewc+grapes", seed, 0.01, 0.01, 0.001, "ewc"));
    all.push_back(task_run("joint", seed, 0.02, 0, 0.001, "joint"));
  }
  return all;
}

Summary summary_of(const std::vector<record::Run>& runs) { return summarize(arrange(runs)); }

const Measure& measure(const Summary& summary, const std::string& key) {
  return *std::find_if(summary.measures.begin(), summary.measures.end(),
                       [&](const Measure& m) { return m.key == key; });
}

std::string all_said(const Summary& summary) { return join(synthetic::said(summary), "\n"); }

TEST(Continual, MeasuresAreComputedFromTheMatrixOfEachRun) {
  const Summary s = summary_of(task_runs());
  ASSERT_EQ(s.conditions.size(), 1);
  const Condition& condition = s.conditions[0];
  EXPECT_EQ(condition.title, "Every arm at the learning rate 0.001");
  const Arm& bp = *condition.find("bp");
  EXPECT_EQ(bp.runs.size(), 8);
  // A run forgets 0.05 of a task with every later one: 0.1 of the first and 0.05 of the second.
  EXPECT_NEAR(bp.values.at("forgetting").mean, 0.075, 1e-12);
  EXPECT_NEAR(bp.values.at("backward_transfer").mean, -0.075, 1e-12);
  EXPECT_NEAR(bp.values.at("forward_transfer").mean, 0.05, 1e-12);
  EXPECT_NEAR(bp.values.at("learning_accuracy").mean - bp.values.at("average_accuracy").mean, 0.05, 1e-12);
  EXPECT_EQ(condition.find("bp", "bp", s.primary()), nullptr);
  const Difference& ahead = *condition.find("grapes", "bp", measure(s, "average_accuracy"));
  EXPECT_NEAR(ahead.spread.mean, 0.01 + 0.0002, 1e-4);
  EXPECT_EQ(ahead.spread.n(), 8);
  EXPECT_LT(*ahead.p_holm, 0.05);
  EXPECT_NEAR(condition.find("ewc", "bp", measure(s, "forgetting"))->spread.mean, 0.015 - 0.075, 1e-3);
  const auto matrix = matrix_of(bp);
  EXPECT_NEAR(matrix[2][0].mean - matrix[0][0].mean, -0.1, 1e-12);
  EXPECT_GT(matrix[0][0].interval->high, matrix[0][0].interval->low);
  // Joint training has nothing to forget.
  EXPECT_TRUE(condition.find("joint")->values.at("forgetting").empty());
  EXPECT_EQ(condition.find("joint", "bp", measure(s, "forgetting")), nullptr);
  const Part why = parts_of(bp, weight_changes)[0];
  EXPECT_NEAR(why.values.at("weight_change").mean, 0.2, 1e-12);
  EXPECT_NEAR(why.values.at("loss_increase").mean, 0.05, 1e-12);
  EXPECT_EQ(why.values.at("factor_change").n(), 8);
}

TEST(Continual, GrapesIsComparedWithItsControlAndWithTheMethodAlone) {
  const Summary s = summary_of(task_runs());
  std::vector<std::string> pairs;
  for (const Difference& one : s.conditions[0].differences)
    if (one.control && one.measure == "average_accuracy") pairs.push_back(one.arm + "-" + one.against);
  EXPECT_THAT(pairs, testing::ElementsAre("grapes-uniform", "ewc+grapes-ewc"));
  EXPECT_THAT(all_said(s), AllOf(HasSubstr("`grapes` does better than `bp` and `uniform`"),
                                 HasSubstr("`ewc+grapes` does better than `ewc`"), HasSubstr("With 8 pairs"),
                                 Not(HasSubstr("constant:2"))));
  const std::string text = table(s), page = html(s);
  for (const std::string pair : {"grapes − uniform", "ewc+grapes − ewc"}) {
    EXPECT_THAT(text, HasSubstr("\n" + pair + " "));
    for (const char* measure : {"average accuracy", "learning accuracy", "forgetting"})
      EXPECT_THAT(page, HasSubstr(">" + pair + ", " + measure + "</th>")) << pair;
  }
  EXPECT_THAT(text, AllOf(HasSubstr("\naverage accuracy "), Not(HasSubstr(", forgetting")),
                          HasSubstr("\nThe page also compares learning accuracy and forgetting.\n")));
  EXPECT_THAT(page, HasSubstr("<dt>grapes − uniform</dt><dd>effect of different factors"));
}

TEST(Continual, TheTableFitsATerminal) {
  const std::string text = table(summary_of(task_runs()));
  for (const std::string& line : split(text, '\n')) EXPECT_LE(display_width(line), 100) << line;
  EXPECT_THAT(text, AllOf(HasSubstr("average accuracy %"), HasSubstr("forgetting"), HasSubstr("joint")));
}

TEST(Continual, GivenAndTunedRatesAreSeparateConditions) {
  std::vector<record::Run> all = task_runs();
  for (std::uint64_t seed = 1; seed <= 8; ++seed) all.push_back(task_run("grapes", seed, 0.03, 0.02, 0.01));
  EXPECT_THROW(arrange(all), DataError);
  Json comparison = {{"arms", {"bp", "grapes", "uniform", "ewc", "ewc+grapes", "joint"}},
                     {"tuning", {{"grid", {0.001, 0.01}}, {"epochs", 1}, {"seeds", 1}, {"arms", Json::object()}}}};
  for (const std::string name : comparison["arms"]) {
    const double rate = name == "grapes" ? 0.01 : 0.001;
    comparison["given_rates"][name] = 0.001;
    comparison["learning_rates"][name] = rate;
    comparison["tuning"]["arms"][name] = {
        {"chosen", rate},
        {"tried",
         {{{"learning_rate", 0.001}, {"validation_mean", rate == 0.001 ? 0.8 : 0.7}},
          {{"learning_rate", 0.01}, {"validation_mean", rate == 0.001 ? 0.7 : 0.8}}}}};
  }
  const Summary s = summarize(arrange(all, {comparison}));
  ASSERT_EQ(s.conditions.size(), 2);
  const auto rates = [&](std::size_t k, const std::string& arm) { return s.conditions[k].find(arm)->learning_rates; };
  EXPECT_THAT(rates(0, "grapes"), testing::ElementsAre(0.001));
  EXPECT_THAT(rates(1, "grapes"), testing::ElementsAre(0.01));
  EXPECT_THAT(rates(1, "bp"), testing::ElementsAre(0.001));
  const std::string page = html(s);
  EXPECT_EQ(page, html(s));
  EXPECT_THAT(
      page,
      AllOf(
          HasSubstr("Each arm at its own best learning rate"), HasSubstr("<b>Task 1</b>"),
          HasSubstr("Methods against forgetting"), HasSubstr("Modulation factors"), HasSubstr("<h3>ewc</h3>"),
          HasSubstr("<h2>Weight changes</h2></summary><p class=\"note\">Each arm at its own best learning rate. Means"),
          HasSubstr("Choice of the learning rates")));
  EXPECT_THAT(picture(s), HasSubstr("Each arm at its own best learning rate"));
  EXPECT_THAT(all_said(s), HasSubstr("lies at the edge of the grid"));
}

TEST(TaskPoints, StartWithTheTrainingOfTheTask) {
  const Points second = task_points(task_run("bp", 1, 0, 0.05), 1);
  std::vector<double> at;
  for (const auto& [x, y] : second) at.push_back(x);
  EXPECT_THAT(at, testing::UnorderedElementsAre(1.5, 2, 2.5, 3));
  const Curve curve_of_two =
      curve(share({task_run("bp", 1, 0, 0.05)}), 100, [](const record::Run& run) { return task_points(run, 1); });
  EXPECT_EQ(curve_of_two.x, (std::vector<double>{1.5, 2, 2.5, 3}));
  EXPECT_NEAR(curve_of_two.mean[1] - curve_of_two.mean[3], 5, 1e-9);
}

TEST(Continual, RunsThatCannotBeReportedTogetherAreAnError) {
  std::vector<record::Run> all = task_runs();
  all[3].epochs[0].erase("scenario");
  EXPECT_THROW(arrange(all), DataError);
  all = task_runs();
  all[3].epochs[0]["scenario"] = "rotated";
  EXPECT_THROW(summary_of(all), DataError);
  all = task_runs();
  all[3].epochs.pop_back();
  EXPECT_THROW(summary_of(all), DataError);
  all = task_runs();
  for (record::Run& one : all) one.status.state = record::State::diverged;
  EXPECT_THROW(summary_of(all), DataError);
  all = task_runs();
  all[0].status.state = record::State::diverged;
  all[0].status.message = "the loss is nan";
  EXPECT_THAT(all_said(summary_of(all)), HasSubstr("Not counted: bp, seed 1: diverged after 3 tasks (the loss"));
}

}  // namespace
}  // namespace grapes::report
