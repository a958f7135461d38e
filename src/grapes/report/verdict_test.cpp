#include "grapes/report/report.h"
#include "grapes/report/synthetic_test.h"

#include <gmock/gmock.h>

namespace grapes::report {
namespace {
using record::Json;
using testing::AllOf;
using testing::Contains;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Record = record::Run;  // inside a test, Run is GoogleTest's

/// Ten runs of bp with scores around 0.9, and of each arm with these differences.
std::vector<Record> arms_with(const std::vector<std::pair<std::string, std::vector<double>>>& arms) {
  std::vector<Record> runs;
  const auto add = [&](const std::string& arm, std::uint64_t seed, double score) {
    Record run;
    run.folder = arm + "-" + std::to_string(seed);
    run.identity = {arm, seed, "digits", "mlp:64", "accuracy", "s"};
    run.epochs = {{{"epoch", 1}, {"learning_rate", 0.1}, {"test_accuracy", score}, {"seconds", 2.0}}};
    run.status = {record::State::finished, 1, 0, ""};
    runs.push_back(run);
  };
  const auto base = [](std::uint64_t seed) { return 0.9 + 0.001 * static_cast<double>(seed * seed % 7); };
  for (std::uint64_t seed = 1; seed <= 10; ++seed) add("bp", seed, base(seed));
  for (const auto& [arm, differences] : arms)
    for (std::size_t i = 0; i < differences.size(); ++i) add(arm, i + 1, base(i + 1) + differences[i]);
  return runs;
}

/// Ten differences around `mean` that vary by `size`.
std::vector<double> around(double mean, double size) {
  std::vector<double> all;
  for (int i = 0; i < 10; ++i) all.push_back(mean + size * (i % 5 - 2) * (i < 5 ? 1 : -1));
  return all;
}

const Difference& of(const Summary& summary, const std::string& arm) {
  return *summary.conditions.front().find(arm, "bp", summary.primary());
}

Summary judged_by(double smallest_effect, const std::vector<Record>& runs) {
  Options options;
  options.smallest_effect = smallest_effect;
  return synthetic::summary(runs, options);
}

TEST(Simultaneous, IntervalsOfAFamilyShareTheirQuantile) {
  const Summary s = synthetic::summary(synthetic::runs(synthetic::five_arms, 8));
  std::vector<std::vector<double>> differences;
  for (const char* arm : {"grapes", "grapes-local", "uniform", "shuffled"})
    differences.push_back(of(s, arm).spread.values());
  const double c = simultaneous_quantile(differences);
  const Difference& one = of(s, "uniform");
  EXPECT_NEAR(one.simultaneous->low, one.spread.mean - c * one.spread.sd / std::sqrt(8.0), 1e-12);
  EXPECT_LT(one.simultaneous->low, one.spread.interval->low);
  EXPECT_GT(one.simultaneous->high, one.spread.interval->high);
}

TEST(Simultaneous, AnOnlyComparisonHasStudentsInterval) {
  const Difference& one = of(synthetic::summary(arms_with({{"grapes", around(0.002, 0.001)}})), "grapes");
  EXPECT_NEAR(one.simultaneous->low, one.spread.interval->low, 1e-12);
  EXPECT_NEAR(one.simultaneous->high, one.spread.interval->high, 1e-12);
}

TEST(Simultaneous, ComparisonsWithOtherSeedsUseBonferronisInequality) {
  std::vector<double> fewer = around(0.002, 0.001);
  fewer.resize(7);
  const Summary s = synthetic::summary(arms_with({{"grapes", around(0.002, 0.001)}, {"uniform", fewer}}));
  const Difference& one = of(s, "uniform");
  EXPECT_NEAR(one.simultaneous->high, one.spread.mean + bonferroni_quantile(7, 2) * one.spread.sd / std::sqrt(7.0),
              1e-12);
}

TEST(Verdicts, FollowTheRuleAndAppearEverywhere) {
  const Summary s = judged_by(0.3, arms_with({{"grapes", around(0.005, 0.0005)},
                                              {"uniform", around(-0.005, 0.0005)},
                                              {"shuffled", around(0.001, 0.0003)},
                                              {"inverse", around(0.0001, 0.0005)},
                                              {"mean-one", around(0.002, 0.01)}}));
  EXPECT_NEAR(s.margin(), 0.003, 1e-15);
  EXPECT_EQ(of(s, "grapes").verdict, Verdict::better);
  EXPECT_EQ(of(s, "uniform").verdict, Verdict::worse);
  EXPECT_EQ(of(s, "shuffled").verdict, Verdict::negligible);
  EXPECT_EQ(of(s, "inverse").verdict, Verdict::no_difference);
  EXPECT_EQ(of(s, "mean-one").verdict, Verdict::not_resolved);
  EXPECT_NEAR(*of(s, "inverse").p_equivalence, *equivalence(of(s, "inverse").spread.values(), 0.003), 1e-15);

  const std::string text = table(s), page = html(s);
  EXPECT_THAT(text,
              AllOf(ContainsRegex("grapes − bp .* better\n"), ContainsRegex("uniform − bp .* worse\n"),
                    ContainsRegex("shuffled − bp .* negligible\n"), ContainsRegex("inverse − bp .* no difference\n"),
                    ContainsRegex("mean-one − bp .* not resolved\n")));
  EXPECT_THAT(page, AllOf(HasSubstr("<span>not resolved</span>"), HasSubstr("equivalence p"),
                          HasSubstr("at least the smallest effect of interest, 0.30 points")));
  const Json json = to_json(s);
  EXPECT_NEAR(json["smallest_effect"].get<double>(), 0.003, 1e-15);
  const Json& first = json["conditions"][0]["differences"][0];
  EXPECT_EQ(first["verdict"], "better");
  EXPECT_EQ(first["simultaneous"][0], of(s, "grapes").simultaneous->low);
  EXPECT_EQ(first["p_equivalence"], *of(s, "grapes").p_equivalence);
}

TEST(Verdicts, AreInTheFirstSentence) {
  const auto lead = [](double mean, double size) {
    return findings(judged_by(0.3, arms_with({{"grapes", around(mean, size)}}))).lead;
  };
  EXPECT_THAT(lead(0.005, 0.0005), StartsWith("`grapes` does better than `bp`, by intervals and tests"));
  EXPECT_THAT(lead(0.001, 0.0003), AllOf(StartsWith("`grapes` differs negligibly from `bp`, by intervals and tests."),
                                         Not(HasSubstr("learning rates"))));
  EXPECT_THAT(lead(0.0001, 0.0005), StartsWith("`grapes` is equivalent to `bp` (the intervals include 0)"));
  EXPECT_THAT(lead(0.002, 0.01), StartsWith("`grapes` may or may not differ from `bp` (the intervals include 0)"));
}

TEST(Verdicts, NeedASmallestEffect) {
  const Summary s = synthetic::summary(arms_with({{"grapes", around(0.005, 0.0005)}}));
  EXPECT_FALSE(of(s, "grapes").verdict);
  EXPECT_FALSE(of(s, "grapes").p_equivalence);
  EXPECT_TRUE(to_json(s)["smallest_effect"].is_null());
  EXPECT_THAT(table(s), AllOf(HasSubstr("higher by interval and test"), Not(HasSubstr("equivalence"))));
  EXPECT_THAT(synthetic::said(s), Contains(HasSubstr("With --smallest-effect the report tests for equivalence")));
}

TEST(Verdicts, TakeTheSmallestEffectFromTheRecordUnlessItIsGiven) {
  const Json comparison = {{"arms", {"bp", "grapes"}},
                           {"tuning", nullptr},
                           {"given_rates", Json::object()},
                           {"learning_rates", Json::object()},
                           {"smallest_effect", 0.3}};
  const auto runs = arms_with({{"grapes", around(0.002, 0.0005)}});
  EXPECT_EQ(of(summarize(arrange(runs, {comparison})), "grapes").verdict, Verdict::negligible);
  Options options;
  options.smallest_effect = 0.1;
  EXPECT_EQ(of(summarize(arrange(runs, {comparison}), options), "grapes").verdict, Verdict::better);
}

TEST(Crossed, TheIntervalIncludesTheTestExamples) {
  std::vector<Record> runs = arms_with({{"grapes", around(0.02, 0.001)}});
  // 100 examples: bp is wrong on the first ten, grapes only on the first eight, in every seed.
  for (Record& run : runs) {
    run.test_correct.assign(100, true);
    for (std::size_t j = 0; j < (run.identity.arm == "bp" ? 10 : 8); ++j) run.test_correct[j] = false;
  }
  const Summary s = judged_by(0.3, runs);
  const Difference& one = of(s, "grapes");
  std::vector<std::int8_t> row(100, 0);
  row[8] = row[9] = 1;
  const double error = *crossed_error(std::vector(10, row));
  ASSERT_TRUE(one.crossed);
  EXPECT_NEAR(one.crossed->low, one.spread.mean - one.quantile * error, 1e-12);
  EXPECT_NEAR(one.crossed->high, one.spread.mean + one.quantile * error, 1e-12);
  EXPECT_NEAR(*one.p_equivalence, *equivalence(one.spread.values(), 0.003, error), 1e-12);
  // Over the seeds alone the difference is certain; two examples are not enough to say so for other examples.
  EXPECT_GT(one.simultaneous->low, 0);
  EXPECT_LT(one.crossed->low, 0);
  EXPECT_EQ(one.deciding()->low, one.crossed->low);
  EXPECT_EQ(one.verdict, Verdict::not_resolved);
  EXPECT_THAT(table(s), HasSubstr("seeds and examples [95 %]"));
  EXPECT_EQ(to_json(s)["conditions"][0]["differences"][0]["crossed"][0], one.crossed->low);
}

TEST(Crossed, IsAbsentIfARunDidNotRecordItsExamples) {
  std::vector<Record> runs = arms_with({{"grapes", around(0.02, 0.001)}});
  for (Record& run : runs) run.test_correct.assign(100, true);
  runs.back().test_correct.clear();
  const Summary s = judged_by(0.3, runs);
  EXPECT_FALSE(of(s, "grapes").crossed);
  EXPECT_EQ(of(s, "grapes").verdict, Verdict::better);
  EXPECT_THAT(table(s), Not(HasSubstr("seeds and examples")));
}

TEST(Crossed, TheIntervalIsSimultaneousToo) {
  const auto with = [](const std::vector<std::pair<std::string, std::vector<double>>>& arms) {
    std::vector<Record> runs = arms_with(arms);
    for (Record& run : runs)
      for (std::size_t j = 0; j < 100; ++j)
        run.test_correct.push_back(run.identity.seed * j % 7 != run.identity.arm.size());
    return synthetic::summary(runs);
  };
  std::vector<double> other;  // not proportional to the first one, so the family has a larger quantile
  for (int i = 0; i < 10; ++i) other.push_back(0.001 * (i * i % 7));
  const Summary alone = with({{"grapes", around(0.02, 0.001)}}),
                two = with({{"grapes", around(0.02, 0.001)}, {"uniform", other}});
  const Difference &one = of(alone, "grapes"), &same = of(two, "grapes");
  EXPECT_GT(same.quantile, one.quantile);
  EXPECT_NEAR((same.crossed->high - same.crossed->low) / (one.crossed->high - one.crossed->low),
              same.quantile / one.quantile, 1e-9);
}

}  // namespace
}  // namespace grapes::report
