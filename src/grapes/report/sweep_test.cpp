#include "grapes/base/text.h"
#include "grapes/report/report.h"
#include "grapes/report/synthetic_test.h"

#include <gmock/gmock.h>

namespace grapes::report {
namespace {
using record::Json;
using testing::HasSubstr;

void add(Condition& condition, const std::string& arm, const std::vector<double>& scores) {
  for (std::size_t i = 0; i < scores.size(); ++i) {
    record::Run run;
    run.identity = {arm, i + 1, "digits", "mlp:8", "accuracy", condition.name};
    run.epochs.push_back({{"epoch", 1}, {"learning_rate", 0.1}, {"test_accuracy", scores[i]}});
    run.status.state = record::State::finished;
    run.status.epoch = 1;
    condition.runs.push_back(std::make_shared<const record::Run>(run));
  }
}

Condition at(const std::string& value) {
  Condition condition;
  condition.name = value;
  condition.value = std::stod(value);
  Json tried = Json::array();
  for (const double rate : {0.01, 0.1, 1.0}) tried.push_back({{"learning_rate", rate}, {"validation_mean", 0.5}});
  condition.tuning = {
      {"grid", {0.01, 0.1, 1.0}},
      {"arms", {{"bp", {{"chosen", 0.1}, {"tried", tried}}}, {"grapes", {{"chosen", 0.01}, {"tried", tried}}}}}};
  return condition;
}

const std::vector<std::string> arm_names = {"bp", "grapes", "uniform", "fa", "fa+grapes", "wild"};

Records swept(const std::string& key = "k={}") {
  Condition eight = at("8"), four = at("4");
  add(eight, "bp", {0.90, 0.92});
  add(eight, "grapes", {0.91, 0.95});
  add(eight, "uniform", {0.90, 0.90});
  add(eight, "fa", {0.5, 0.5});
  add(eight, "fa+grapes", {0.6, 0.7});
  add(four, "bp", {0.80, 0.82});
  add(four, "grapes", {0.70, 0.72});
  return {{eight, four}, key, arm_names};
}

double mean_of(const Summary& summary, std::size_t value, const std::string& arm, const std::string& against) {
  return summary.conditions[value].find(arm, against, summary.primary())->spread.mean;
}

TEST(Sweep, PairedDifferencesEqualValuesByHand) {
  const Summary s = summarize(swept("precision=weights=int{}"));
  EXPECT_NEAR(mean_of(s, 0, "grapes", "bp"), 0.02, 1e-12);
  EXPECT_NEAR(mean_of(s, 0, "fa+grapes", "fa"), 0.15, 1e-12);
  EXPECT_NEAR(mean_of(s, 0, "grapes", "uniform"), 0.03, 1e-12);
  EXPECT_NEAR(mean_of(s, 1, "grapes", "bp"), -0.1, 1e-12);
  std::size_t pairs = 0;
  for (const Difference& one : s.conditions[0].differences) pairs += one.measure == "test_accuracy" ? 1 : 0;
  EXPECT_EQ(pairs, 6u);
}

TEST(Sweep, HolmCorrectsOverAllValues) {
  // Two pairs each: the exact test gives 0.5 at best, times seven pairs.
  for (const Condition& condition : summarize(swept()).conditions)
    for (const Difference& one : condition.differences)
      if (one.p) {
        EXPECT_EQ(*one.p_holm, 1.0);
      }
}

TEST(Sweep, ChangesSinceTheFirstValueArePairedBySeed) {
  // grapes − bp: 0.01, 0.03 at 8 and −0.1, −0.1 at 4.
  const Summary s = summarize(swept());
  for (const Difference& one : s.conditions[0].differences) EXPECT_TRUE(one.change.spread.empty());
  ASSERT_EQ(s.conditions[1].differences.size(), 1u);
  const Spread& change = s.conditions[1].differences[0].change.spread;
  EXPECT_NEAR(change.mean, -0.12, 1e-12);
  EXPECT_NEAR(change.samples[0].value, -0.11, 1e-12);
  EXPECT_NEAR(change.samples[1].value, -0.13, 1e-12);
}

TEST(Sweep, EqualDifferencesDoNotChangeByRounding) {
  Condition eight = at("8"), four = at("4");
  add(eight, "bp", {0.90, 0.30, 0.70, 0.80, 0.60, 0.45});
  add(eight, "grapes", {0.91, 0.31, 0.71, 0.81, 0.61, 0.46});
  add(four, "bp", {0.50, 0.20, 0.10, 0.35, 0.05, 0.40});
  add(four, "grapes", {0.51, 0.21, 0.11, 0.36, 0.06, 0.41});
  ASSERT_NE(0.31 - 0.30, 0.21 - 0.20);
  const Summary s = summarize({{eight, four}, "k={}", {"bp", "grapes"}});
  const Paired& change = s.conditions[1].find("grapes", "bp", s.primary())->change;
  for (const Sample& one : change.spread.samples) EXPECT_EQ(one.value, 0);
  EXPECT_EQ(change.side(), 0);
  EXPECT_FALSE(change.p);
}

TEST(Sweep, DivergedRunsAreReported) {
  Records records = swept();
  records.conditions.push_back(at("2"));
  const std::string text = table(summarize(records));
  for (const char* value : {"8", "4", "2"})
    EXPECT_THAT(text, testing::ContainsRegex("\nwild at " + std::string(value) + " +0 +– +diverged"));
  EXPECT_THAT(text, testing::ContainsRegex("\nbp at 8 +2 +0.1 +91.00 ± 1.41 \\[68.18, 97.95\\].*"
                                           "\nbp at 4 +2 +0.1 +81.00 ± 1.41 \\[65.12, 90.68\\].*"
                                           "\nbp at 2 +0 +– +diverged"));
}

TEST(Sweep, OneRunHasNoInterval) {
  Condition one = at("1");
  add(one, "bp", {0.9});
  const Summary s = summarize({{one}, "k={}", {"bp"}});
  EXPECT_THAT(table(s), testing::ContainsRegex("\nbp at 1 +1 +0.1 +90.00 +–"));
}

TEST(Sweep, RatesAtTheEdgeOfTheGridAreNamed) {
  const Summary s = summarize(swept());
  const std::string text = table(s);
  for (const char* row : {"grapes at 8", "grapes at 4"})
    EXPECT_THAT(text, testing::ContainsRegex(std::string("\n") + row + " +2 +0.1 \\(edge\\) "));
  EXPECT_THAT(text, testing::Not(testing::ContainsRegex("\nbp at . +2 +0.1 \\(edge\\) ")));
  EXPECT_THAT(html(s), HasSubstr("0.1 (edge)"));
}

TEST(Sweep, HasATableAPictureAndAPage) {
  const Summary s = summarize(swept("precision=weights=int{}"));
  EXPECT_EQ(s.title, "mlp:8 on digits, by weights=int{}");
  const std::string text = table(s);
  EXPECT_THAT(text, HasSubstr("91.00 ± 1.41 [68.18, 97.95]"));
  EXPECT_THAT(text, testing::ContainsRegex("\ngrapes − bp at 4 +−10.00 "));
  EXPECT_THAT(text, HasSubstr("\nuniform − bp at 8 "));
  EXPECT_THAT(text, testing::Not(HasSubstr("uniform − bp at 4")));  // this arm has no run at the value 4
  EXPECT_THAT(text, HasSubstr("change since 8"));
  EXPECT_THAT(html(s), AllOf(HasSubstr("<td data-label=\"n\"><span>2</span></td>"), HasSubstr("<h3>Comparisons"),
                             HasSubstr("change since 8")));
  EXPECT_EQ(picture(s), picture(s));
  EXPECT_THAT(picture(s), HasSubstr("precision=weights=int{}"));
  // The axis shows the part of the setting that changes. The whole setting appears once, below the title.
  const std::string longer = picture(summarize(swept("precision=weights=int{}:stochastic,error=int8")));
  EXPECT_THAT(longer, HasSubstr(">weights=int{}<"));
  EXPECT_THAT(longer, HasSubstr(">precision=weights=int{}:stochastic,error=int8<"));
  EXPECT_THAT(picture(summarize(swept("analog=reram:noise={}"))), HasSubstr(">noise={}<"));
  EXPECT_THAT(picture(summarize(swept("factor-bits={}"))), HasSubstr(">factor-bits={}<"));
}

TEST(Sweep, ManyValuesFitATerminal) {
  Records records{{}, "k={}", {"bp"}};
  for (int value = 1; value <= 9; ++value) {
    records.conditions.push_back(at(std::to_string(value)));
    add(records.conditions.back(), "bp", {0.8, 0.9});
  }
  const std::string text = table(summarize(records));
  for (const std::string& line : split(text, '\n')) EXPECT_LE(display_width(line), 100) << line;
  for (int value = 1; value <= 9; ++value) EXPECT_THAT(text, HasSubstr("\nbp at " + std::to_string(value) + " "));
}

}  // namespace
}  // namespace grapes::report
