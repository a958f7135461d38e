#include "grapes/report/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::report {
namespace {
using record::Json;
using testing::HasSubstr;

Json arm(const std::string& name, const std::vector<double>& scores) {
  std::vector<int> seeds;
  double sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) seeds.push_back(static_cast<int>(i) + 1), sum += scores[i];
  const double mean = sum / static_cast<double>(scores.size());
  return {{"arm", name},
          {"n", scores.size()},
          {"mean", mean},
          {"interval", {mean - 0.01, mean + 0.01}},
          {"scores", scores},
          {"seeds", seeds},
          {"learning_rates", {0.1}},
          {"diverged", 0}};
}

SweepPoint point(double value, std::vector<Json> arms) {
  return {value,
          {{"arms", std::move(arms)},
           {"score", "accuracy"},
           {"data", "digits"},
           {"title", "mlp:8 on digits"},
           {"baseline", "bp"},
           {"tuning",
            {{"grid", {0.01, 0.1, 1.0}},
             {"arms", {{"bp", {{"chosen", 0.1}, {"tried", {1}}}}, {"grapes", {{"chosen", 0.01}, {"tried", {1}}}}}}}},
           {"part", "test"}}};
}

const std::vector<SweepPoint>& points() {
  static const std::vector<SweepPoint> all = {
      point(8, {arm("bp", {0.90, 0.92}), arm("grapes", {0.91, 0.95}), arm("uniform", {0.90, 0.90}),
                arm("fa", {0.5, 0.5}), arm("fa+grapes", {0.6, 0.7})}),
      point(4, {arm("bp", {0.80, 0.82}), arm("grapes", {0.70, 0.72})})};
  return all;
}

const std::vector<std::string> names = {"bp", "grapes", "uniform", "fa", "fa+grapes", "wild"};

TEST(Sweep, PairsByHand) {
  const Json summary = summarize_sweep("precision=weights=int{}", names, points());
  const Json& pairs = summary["points"][0]["pairs"];
  ASSERT_EQ(pairs.size(), 6u);
  EXPECT_NEAR(pairs[0]["mean"].get<double>(), 0.02, 1e-12);  // grapes − bp
  EXPECT_EQ(pairs[4]["arm"], "fa+grapes");
  EXPECT_EQ(pairs[4]["against"], "fa");
  EXPECT_NEAR(pairs[4]["mean"].get<double>(), 0.15, 1e-12);
  EXPECT_EQ(pairs[5]["against"], "uniform");
  EXPECT_NEAR(pairs[5]["mean"].get<double>(), 0.03, 1e-12);
  EXPECT_NEAR(summary["points"][1]["pairs"][0]["mean"].get<double>(), -0.1, 1e-12);
}

TEST(Sweep, HolmIsOverAllValues) {
  const Json summary = summarize_sweep("k={}", names, points());
  // Two pairs each: the exact test gives 0.5 at best, times seven pairs.
  for (const Json& one : summary["points"])
    for (const Json& pair : one["pairs"]) EXPECT_EQ(pair["p_holm"], 1.0);
}

TEST(Sweep, WhoLosesMoreSeedBySeed) {
  // grapes − bp: 0.01, 0.03 at 8 and −0.1, −0.1 at 4.
  const Json summary = summarize_sweep("k={}", names, points());
  EXPECT_TRUE(summary["points"][0]["changes"].empty());
  const Json& changes = summary["points"][1]["changes"];
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_NEAR(changes[0]["mean"].get<double>(), -0.12, 1e-12);
  EXPECT_NEAR(changes[0]["each"][0].get<double>(), -0.11, 1e-12);
  EXPECT_NEAR(changes[0]["each"][1].get<double>(), -0.13, 1e-12);
}

TEST(Sweep, WhatDivergedIsSaid) {
  std::vector<SweepPoint> some = points();
  some.push_back({2, {}});
  const std::string table = sweep_table(summarize_sweep("k={}", names, some));
  EXPECT_THAT(table, testing::ContainsRegex("wild +diverged +diverged +diverged"));
  EXPECT_THAT(table, testing::ContainsRegex("\nbp +91.00 ± 1.00 +81.00 ± 1.00 +diverged"));
}

TEST(Sweep, OneRunHasNoInterval) {
  Json alone = arm("bp", {0.9});
  alone["interval"] = Json();
  const std::string table = sweep_table(summarize_sweep("k={}", {"bp"}, {point(1, {alone})}));
  EXPECT_THAT(table, HasSubstr("90.00\n"));
  EXPECT_THAT(table, HasSubstr("n = 1 runs"));
}

TEST(Sweep, RatesAtTheEdgeOfTheGridAreNamed) {
  const Json summary = summarize_sweep("k={}", names, points());
  EXPECT_THAT(sweep_table(summary), HasSubstr("may lie outside it, for grapes at 8, grapes at 4."));
  EXPECT_THAT(sweep_html(summary), HasSubstr("0.1 (edge)"));
}

TEST(Sweep, TablePictureAndPage) {
  const Json summary = summarize_sweep("precision=weights=int{}", names, points());
  const std::string table = sweep_table(summary);
  EXPECT_THAT(table, HasSubstr("91.00 ± 1.00"));
  EXPECT_THAT(table, HasSubstr("grapes − bp"));
  EXPECT_THAT(table, HasSubstr("−10.00"));
  EXPECT_THAT(table, testing::ContainsRegex("uniform − bp .* –"));  // it is not there at 4
  EXPECT_THAT(table, HasSubstr("Means over n = 2 runs"));
  EXPECT_EQ(sweep_picture(summary), sweep_picture(summary));
  EXPECT_THAT(sweep_picture(summary), HasSubstr("precision=weights=int{}"));
  EXPECT_THAT(sweep_html(summary), HasSubstr("Learning rates"));
  // What changes stands at the axis, all of it once below the title.
  const Json longer = summarize_sweep("precision=weights=int{}:stochastic,error=int8", names, points());
  EXPECT_THAT(sweep_picture(longer), HasSubstr(">weights=int{}<"));
  EXPECT_THAT(sweep_picture(longer), HasSubstr(">precision=weights=int{}:stochastic,error=int8<"));
  EXPECT_THAT(sweep_picture(summarize_sweep("analog=reram:noise={}", names, points())), HasSubstr(">noise={}<"));
  EXPECT_THAT(sweep_picture(summarize_sweep("factor-bits={}", names, points())), HasSubstr(">factor-bits={}<"));
}

}  // namespace
}  // namespace grapes::report
