#include "grapes/base/text.h"
#include "grapes/report/report.h"
#include "grapes/report/statistics.h"
#include "grapes/report/synthetic_test.h"

#include <gmock/gmock.h>

namespace grapes::report {
namespace {
using record::Json;
using synthetic::said;
using synthetic::summary;
using Record = record::Run;  // inside a test, Run is GoogleTest's
using testing::AllOf;
using testing::Contains;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing::ThrowsMessage;

/// A run of which only the score curve matters.
Record plain(const std::string& arm, std::uint64_t seed, const std::vector<double>& curve,
             const std::string& pairing = "s") {
  Record run;
  run.folder = arm + "-" + std::to_string(seed) + pairing;
  run.identity = {arm, seed, "digits", "mlp:64", "accuracy", pairing};
  for (std::size_t e = 0; e < curve.size(); ++e)
    run.epochs.push_back({{"epoch", e + 1}, {"learning_rate", 0.1}, {"test_accuracy", curve[e]}, {"seconds", 2.0}});
  run.status = {record::State::finished, static_cast<std::int64_t>(curve.size()), 0, ""};
  return run;
}

/// bp and grapes with these final scores, in pairs.
std::vector<Record> pairs(const std::vector<double>& bp, const std::vector<double>& grapes) {
  std::vector<Record> runs;
  for (std::size_t i = 0; i < bp.size(); ++i) runs.push_back(plain("bp", i + 1, {bp[i]}));
  for (std::size_t i = 0; i < grapes.size(); ++i) runs.push_back(plain("grapes", i + 1, {grapes[i]}));
  return runs;
}

const Condition& only(const Summary& summary) { return summary.conditions.front(); }
const Arm& arm(const Summary& summary, const std::string& name) { return *only(summary).find(name); }
const Spread& score(const Summary& summary, const std::string& name) { return arm(summary, name)[summary.primary()]; }
const Difference& difference(const Summary& summary, const std::string& arm, const std::string& against = "bp") {
  return *only(summary).find(arm, against, summary.primary());
}

TEST(Summary, EqualsValuesByHand) {
  const Summary s = summary(pairs({0.5, 0.6, 0.7}, {0.6, 0.8, 0.75}));
  EXPECT_EQ(s.part, "test");
  EXPECT_EQ(s.baseline, "bp");
  EXPECT_EQ(s.title, "mlp:64 on digits");
  EXPECT_EQ(s.primary().key, "test_accuracy");
  EXPECT_EQ(s.measures[3].name, "epochs to 58.80 %");  // 98 % of the baseline's mean
  EXPECT_EQ(score(s, "bp").n(), 3);
  EXPECT_NEAR(score(s, "bp").mean, 0.6, 1e-12);
  EXPECT_NEAR(score(s, "bp").sd, 0.1, 1e-12);
  EXPECT_NEAR(score(s, "bp").interval->low, mean_interval({0.5, 0.6, 0.7}, {0, 1})->low, 1e-12);
  EXPECT_EQ(only(s).find("bp", "bp", s.primary()), nullptr);
  EXPECT_THAT(arm(s, "bp").learning_rates, ElementsAre(0.1));
  EXPECT_TRUE(arm(s, "bp").values.at("slowness").empty());  // one epoch is no curve
  EXPECT_EQ(arm(s, "bp").values.at("seconds_per_epoch").mean, 2.0);
  EXPECT_EQ(arm(s, "bp").values.at("epochs_to_target").n(), 2);
  const Difference& d = difference(s, "grapes");
  EXPECT_EQ(d.spread.n(), 3);
  EXPECT_EQ(d.unpaired, 0);
  EXPECT_NEAR(d.spread.mean, 0.35 / 3, 1e-12);
  EXPECT_DOUBLE_EQ(*d.p, 0.25);  // three of one sign
  EXPECT_DOUBLE_EQ(*d.p_holm, 0.25);
  EXPECT_NEAR(d.spread.interval->low, mean_interval({0.1, 0.2, 0.05})->low, 1e-12);
  // Other measures are paired too.
  EXPECT_EQ(only(s).find("grapes", "bp", s.measures.back())->spread.mean, 0);
}

TEST(Summary, AllNumbersAreInItsJson) {
  const Json s = to_json(summary(pairs({0.5, 0.6, 0.7}, {0.6, 0.8, 0.75})));
  EXPECT_THAT(s["arms"], ElementsAre("bp", "grapes"));
  const Json& one = s["conditions"][0];
  EXPECT_EQ(one["arms"][0]["measures"]["test_accuracy"]["each"], (Json{0.5, 0.6, 0.7}));
  EXPECT_TRUE(one["arms"][0]["measures"]["slowness"].is_null());
  const Json& d = one["differences"][0];
  EXPECT_EQ(d["measure"], "test_accuracy");
  EXPECT_EQ(d["against"], "bp");
  EXPECT_EQ(d["p"], 0.25);
  EXPECT_THAT(d["seeds"], ElementsAre(1, 2, 3));
}

TEST(Summary, AnIntervalOfAnAccuracyStaysBelowOne) {
  const Summary s = summary(pairs({0.905, 0.921}, {0.5, 0.999}));
  EXPECT_LT(score(s, "bp").interval->high, 1);
  EXPECT_LT(score(s, "grapes").interval->high, 1);
  EXPECT_GT(score(s, "grapes").interval->low, 0);
  EXPECT_GT(difference(s, "grapes").spread.interval->high, 1);  // of a difference it is Student's
}

TEST(Summary, PairsBySeedAndSettings) {
  std::vector<Record> runs = pairs({0.5, 0.6}, {0.6, 0.8});
  runs.push_back(plain("grapes", 3, {0.9}));           // no such seed in bp
  runs.push_back(plain("grapes", 1, {0.9}, "other"));  // the seed, but other settings
  const Summary s = summary(runs);
  const Difference& d = difference(s, "grapes");
  EXPECT_EQ(d.unpaired, 2);
  ASSERT_EQ(d.spread.n(), 2);
  EXPECT_EQ(d.spread.samples[0].seed, 1);
  EXPECT_EQ(d.spread.samples[1].seed, 2);
}

TEST(Summary, UnpairedRunsGetNoTest) {
  std::vector<Record> runs = pairs({0.5, 0.6}, {});
  runs.push_back(plain("grapes", 7, {0.9}));
  const Summary s = summary(runs);
  EXPECT_TRUE(difference(s, "grapes").spread.empty());
  EXPECT_FALSE(difference(s, "grapes").p);
  EXPECT_TRUE(to_json(s)["conditions"][0]["differences"][0]["p"].is_null());
  EXPECT_THAT(said(s), Contains(HasSubstr("unpaired")));
  EXPECT_THAT(table(s), HasSubstr("unpaired"));
}

TEST(Summary, HolmCorrectsArmsAndControlsSeparately) {
  const Summary s = summary(synthetic::runs(synthetic::five_arms, 8));
  std::vector<double> p, corrected;
  std::vector<Difference> controls;
  for (const Difference& d : only(s).differences)
    if (d.measure != s.primary().key) {
      continue;
    } else if (d.control) {
      controls.push_back(d);
    } else {
      p.push_back(*d.p);
      corrected.push_back(*d.p_holm);
    }
  ASSERT_EQ(p.size(), 4u);
  EXPECT_EQ(corrected, holm(p));
  ASSERT_EQ(controls.size(), 2u);
  EXPECT_EQ(controls[0].arm, "grapes");
  EXPECT_EQ(controls[0].against, "uniform");
  EXPECT_EQ(controls[1].against, "shuffled");
  EXPECT_EQ(*controls[0].p_holm, holm({*controls[0].p, *controls[1].p})[0]);
}

TEST(Summary, GrapesOnARouteIsComparedWithThatRoute) {
  std::vector<Record> runs = pairs({0.5, 0.6}, {});
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    runs.push_back(plain("fa", seed, {0.4}));
    runs.push_back(plain("fa+grapes", seed, {0.45}));
  }
  EXPECT_NEAR(difference(summary(runs), "fa+grapes", "fa").spread.mean, 0.05, 1e-12);
  EXPECT_THAT(html(summary(runs)), HasSubstr("<dt>fa+grapes − fa</dt><dd>effect of GRAPES on top</dd>"));
  EXPECT_THAT(table(summary(runs)), HasSubstr("\nfa+grapes − fa "));
}

TEST(Summary, RecoversTheParametersOfSyntheticRuns) {
  const Summary s = summary(synthetic::runs(synthetic::five_arms, 20, 30));
  const Arm& grapes = arm(s, "grapes");
  EXPECT_NEAR(grapes.values.at("slowness").mean, 0.062, 0.003);
  EXPECT_NEAR(grapes.values.at("asymptote").mean, 0.894, 0.002);
  EXPECT_NEAR(parts_of(grapes, layer_factors)[0].values.at("factor.mean").mean, 1.88 - 0.008 * 30, 1e-9);
}

TEST(Summary, TheIntervalOfAnAsymptoteIsWithinTheBoundsOfTheScore) {
  const auto of = [](std::vector<double> asymptotes) {
    std::vector<Record> runs;
    for (std::size_t i = 0; i < asymptotes.size(); ++i) {
      std::vector<double> curve;
      for (int epoch = 1; epoch <= 6; ++epoch) curve.push_back(asymptotes[i] * epoch / (0.8 + epoch));
      runs.push_back(plain("bp", i + 1, curve));
    }
    return arm(summary(runs), "bp").values.at("asymptote");
  };
  EXPECT_GT(mean_interval({0.99, 0.9, 0.75})->high, 1);
  const Spread within = of({0.99, 0.9, 0.75}), beyond = of({1.02, 0.9, 0.75});
  EXPECT_NEAR(within.mean, 0.88, 1e-6);
  EXPECT_LT(within.interval->high, 1);
  EXPECT_GT(beyond.interval->high, 1);  // a fit is no score
}

TEST(Summary, ArmsAreInTheOrderOfThePaperAfterTheBaseline) {
  std::vector<Record> runs;
  for (const char* name : {"zeta", "shuffled", "grapes", "bp", "uniform", "grapes-local"})
    runs.push_back(plain(name, 1, {0.5}));
  const auto names = [&](const std::string& baseline) {
    Options options;
    options.baseline = baseline;
    return summary(runs, options).arms;
  };
  EXPECT_THAT(names("bp"), ElementsAre("bp", "grapes", "grapes-local", "uniform", "shuffled", "zeta"));
  EXPECT_THAT(names("zeta"), ElementsAre("zeta", "bp", "grapes", "grapes-local", "uniform", "shuffled"));
  EXPECT_THAT(names("absent").front(), "bp");
}

TEST(Summary, UnfinishedRunsAreNamedAndLeftOut) {
  std::vector<Record> runs = pairs({0.5, 0.6, 0.7}, {0.6, 0.8, 0.75});
  runs[4].status = {record::State::diverged, 1, 10, "loss is not finite"};
  runs[5].status.state = record::State::running;
  const Summary s = summary(runs);
  EXPECT_EQ(score(s, "grapes").n(), 1);
  ASSERT_EQ(s.excluded.size(), 2);
  EXPECT_EQ(to_json(s)["excluded"][0]["state"], "diverged");
  EXPECT_THAT(said(s), AllOf(Contains("Not counted: grapes, seed 2: diverged after 1 epoch (loss is not finite)."),
                             Contains("Not counted: grapes, seed 3: still running, or killed after 1 epoch.")));
}

TEST(Summary, RunsThatCannotBeComparedAreAnError) {
  std::vector<Record> runs = pairs({0.5}, {0.6});
  const auto summarizing = [&] { return [&] { summary(runs); }; };
  runs[1].identity.score = "r2";
  runs[1].epochs[0]["test_r2"] = 0.5;
  EXPECT_THAT(summarizing(), ThrowsMessage<DataError>(HasSubstr("the score is accuracy in bp-1s and r2 in grapes-1s")));
  runs = pairs({0.5}, {0.6});
  runs[1].identity.data = "mnist";
  EXPECT_THAT(summarizing(), ThrowsMessage<DataError>(HasSubstr("the data set is digits")));
  runs = pairs({0.5}, {0.6});
  runs.push_back(runs[0]);
  EXPECT_THAT(summarizing(), ThrowsMessage<DataError>(HasSubstr("arm bp, seed 1 appears twice")));
  for (Record& run : runs) run.status.state = record::State::diverged;
  EXPECT_THAT(summarizing(), ThrowsMessage<DataError>(HasSubstr("no finished run")));
}

TEST(Summary, UsesThePartOfTheDataThatAllRunsHave) {
  std::vector<Record> runs = pairs({0.5}, {0.6});
  for (Record& run : runs)
    for (Json& row : run.epochs) row["validation_accuracy"] = 0.4;
  runs[1].epochs[0].erase("test_accuracy");
  const Summary s = summary(runs);
  EXPECT_EQ(s.part, "validation");
  EXPECT_EQ(score(s, "bp").mean, 0.4);
  EXPECT_THAT(said(s), Contains(StartsWith("The data have no test part")));
}

TEST(Summary, ScoresThatAreNotFiniteDoNotCount) {
  std::vector<Record> runs = pairs({0.5, 0.6}, {0.6, 0.7});
  runs[3].epochs[0]["test_accuracy"] = nullptr;
  EXPECT_EQ(score(summary(runs), "grapes").n(), 1);
}

TEST(Findings, FivePairsCannotBeSignificant) {
  const Summary low = summary(pairs({.5, .6, .7, .6, .5}, {.6, .71, .82, .73, .64}));
  const auto found = said(low);
  EXPECT_THAT(
      found,
      Contains(StartsWith("With 5 pairs the exact Wilcoxon test cannot give a p below 0.0625, so no difference")));
  EXPECT_THAT(found, Contains(AllOf(StartsWith("`grapes` does better than `bp`, by the intervals, though not by the "
                                               "corrected tests"))));
  EXPECT_THAT(table(low), ContainsRegex("grapes − bp .* higher, but not by the test\n"));
}

TEST(Findings, EightPairsCanBeSignificant) {
  std::vector<double> low, high;
  for (int i = 0; i < 8; ++i) {
    low.push_back(0.5 + 0.001 * i);
    high.push_back(0.6 + 0.0017 * i);
  }
  const auto found = said(summary(pairs(low, high)));
  EXPECT_THAT(found, Not(Contains(HasSubstr("no difference can be significant"))));
  EXPECT_THAT(found, Contains(StartsWith("`grapes` does better than `bp`, by intervals and tests: ")));
  EXPECT_THAT(table(summary(pairs(low, high))), ContainsRegex("grapes − bp .* higher by interval and test\n"));
  EXPECT_THAT(found, Contains(HasSubstr("There is no arm `uniform`")));
  EXPECT_THAT(found, Contains(HasSubstr("There is no arm `shuffled-fixed` or `shuffled`")));
}

TEST(Findings, SayWhenTheControlsDoAsWell) {
  std::vector<Record> runs = pairs({.50, .60, .70, .60}, {.60, .71, .82, .73});
  const std::vector<double> uniform = {.601, .709, .821, .729};
  for (std::size_t i = 0; i < 4; ++i) {
    runs.push_back(plain("uniform", i + 1, {uniform[i]}));
    runs.push_back(plain("shuffled", i + 1, {uniform[3 - i]}));
  }
  EXPECT_THAT(
      said(summary(runs)),
      Contains(StartsWith("`grapes` does better than `bp` and shows no difference from `uniform` and `shuffled`, "
                          "by the intervals, though not by the corrected tests: nothing beyond a change of the "
                          "effective learning rates is shown")));
}

TEST(Findings, SayWhenTheControlsDoWorse) {
  std::vector<Record> runs;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const double noise = 0.001 * static_cast<double>(seed % 4);
    runs.push_back(plain("bp", seed, {0.5 + noise}));
    runs.push_back(plain("grapes", seed, {0.7 + 2 * noise}));
    runs.push_back(plain("uniform", seed, {0.6 + noise}));
    runs.push_back(plain("shuffled", seed, {0.6 - noise}));
  }
  EXPECT_THAT(
      said(summary(runs)),
      Contains(StartsWith("`grapes` does better than `bp`, `uniform` and `shuffled`, by intervals and tests: the gain "
                          "is more than a change")));
}

TEST(Findings, OneSeedSaysNothingAboutChance) {
  const auto found = said(summary(pairs({0.5}, {0.9})));
  EXPECT_THAT(found.front(), HasSubstr("one pair of runs cannot be tested"));
  EXPECT_THAT(table(summary(pairs({0.5}, {0.9}))),
              ContainsRegex("grapes − bp +\\+40.00 +1 +– +– +one pair of runs cannot be tested\n"));
}

TEST(Findings, ASingleArmHasNoComparison) {
  EXPECT_THAT(said(summary(pairs({0.5, 0.6}, {}))).front(), StartsWith("There is no other arm to compare `bp` with."));
}

TEST(Findings, EqualScoresAreReported) {
  EXPECT_THAT(said(summary(pairs({0.5, 0.6}, {0.5, 0.6}))), Contains(HasSubstr("the score is the same in every pair")));
}

TEST(Findings, SayHowTheLearningRatesWereChosen) {
  const auto tuned = [](const Json& tuning) { return said(summarize(synthetic::records(synthetic::runs(), tuning))); };
  EXPECT_THAT(tuned(nullptr), Contains(StartsWith("All arms ran at the learning rate 0.1, which was not tuned")));
  Json tuning = synthetic::tuning();
  EXPECT_THAT(tuned(tuning), AllOf(Contains(HasSubstr("Test data was not used for choosing")),
                                   Contains(StartsWith("The learning rate chosen for `bp` (0.4) lies at the edge")),
                                   Contains("`bp` did not run at the learning rate chosen for it.")));
  tuning["arms"]["shuffled"]["tried"] = Json::array();  // it names its rate itself
  EXPECT_THAT(tuned(tuning), Contains("No learning rate was tuned for `shuffled`."));
}

TEST(Findings, ReportAnArmThatMixesSettings) {
  std::vector<Record> runs = pairs({0.5, 0.6}, {});
  EXPECT_THAT(said(summary(runs)), Not(Contains(HasSubstr("mixes"))));
  runs[1].epochs[0]["learning_rate"] = 0.2;
  EXPECT_THAT(said(summary(runs)), Contains(StartsWith("The runs of an arm have different settings")));
}

TEST(Findings, ClaimOneTestSetOnlyForRunsThatStartAlike) {
  std::vector<Record> runs = pairs({0.5, 0.6}, {0.5, 0.6});
  EXPECT_THAT(said(summary(runs)), Contains(HasSubstr("scored on the same test set")));
  runs[3].identity.pairing = "other";
  EXPECT_THAT(said(summary(runs)), AllOf(Not(Contains(HasSubstr("scored on the same test set"))),
                                         Contains(HasSubstr("their test sets may differ"))));
}

TEST(Findings, ReportRunsOfDifferentLengths) {
  std::vector<Record> runs = pairs({0.5}, {});
  runs.push_back(plain("grapes", 1, {0.4, 0.5, 0.6}));
  EXPECT_THAT(said(summary(runs)), Contains(StartsWith("The runs have different lengths (1 to 3 epochs)")));
}

TEST(Table, FitsATerminal) {
  std::vector<Record> runs = synthetic::runs();
  for (Record run : synthetic::runs({{"an-arm-with-a-name-longer-than-any-column"}})) runs.push_back(run);
  const std::string text = table(summary(runs));
  for (const std::string& line : split(text, '\n')) EXPECT_LE(display_width(line), 100) << line;
  EXPECT_THAT(text, HasSubstr("grapes-local"));
  EXPECT_THAT(text, HasSubstr("slowness"));
}

TEST(Table, WritesR2Plainly) {
  const std::string text = table(summary(synthetic::runs(synthetic::five_arms, 3, 10, "r2")));
  EXPECT_THAT(text, AllOf(HasSubstr("test R² "), Not(HasSubstr("%  against")), HasSubstr("0.8")));
}

TEST(Format, WritesNumbersWithSignsAndUnits) {
  EXPECT_EQ(fixed(-0.001, 2), "0.00");
  EXPECT_EQ(fixed(-1.005, 1), "−1.0");
  EXPECT_EQ(with_sign(0.0001, 2), "0.00");
  EXPECT_EQ(with_sign(0.256, 2), "+0.26");
  EXPECT_EQ(p_value(0.0625), "0.0625");
  EXPECT_EQ(p_value(1e-7), "< 0.0001");
  EXPECT_EQ(score_of("accuracy").unit.level(0.8812), "88.12 %");
  EXPECT_EQ(score_of("r2").unit.level(-0.25), "−0.2500");
}

}  // namespace
}  // namespace grapes::report
