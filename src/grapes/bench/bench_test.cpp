#include "grapes/bench/bench.h"

#include "grapes/base/error.h"
#include "grapes/bench/turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>

namespace grapes::bench {
namespace {

using ::testing::Each;
using ::testing::Field;
using ::testing::Gt;

const Options quick{.seconds = 0.001};

std::vector<std::string> of(const std::vector<Timing>& timings, std::string Timing::*label) {
  std::vector<std::string> values;
  for (const Timing& timing : timings) values.push_back(timing.*label);
  return values;
}

TEST(Turns, EveryArmIsRelativeToTheBaselineWithItsThreadCount) {
  std::vector<int> runs;  // of baseline, arm, arm: for one thread, then for two
  const auto make = [&] {
    const std::size_t first = runs.size();
    runs.resize(first + 3);
    const auto count = [&runs](std::size_t i) { return [&runs, i] { ++runs[i]; }; };
    Group group{count(first), {{{}, count(first + 1)}, {{}, count(first + 2)}}};
    group.arms[0].labels.name = "a";
    group.arms[1].labels.name = "b";
    return group;
  };
  const std::vector<Timing> timings = take_turns(make, {.seconds = 0, .threads = {1, 2}}, kernels::Pool::blas, 4);
  EXPECT_EQ(of(timings, &Timing::name), (std::vector<std::string>{"a", "b", "a", "b"}));
  EXPECT_THAT(runs, Each(5)) << "one that is not timed, four that are";
  for (std::size_t i = 0; i < timings.size(); ++i) {
    EXPECT_EQ(timings[i].threads, i < 2 ? 1 : 2);
    EXPECT_EQ(timings[i].n, 4);
    EXPECT_EQ(timings[i].ratio, timings[i].step_us / timings[i].baseline_us);
    EXPECT_EQ(timings[i].baseline_us, timings[i - i % 2].baseline_us);
  }
}

TEST(Bench, TimesDenseStepsWithBothRules) {
  const std::vector<Timing> timings = mlp({.nodes = {20, 16, 4}, .batch = 3}, quick);
  EXPECT_EQ(of(timings, &Timing::rule), (std::vector<std::string>{"bp", "grapes"}));
  EXPECT_THAT(of(timings, &Timing::name), Each("20-16-4"));
  constexpr std::int64_t weights = 4 * (20 * 16 + 16 * 4);
  EXPECT_THAT(timings, Each(Field(&Timing::least_bytes, weights + 4 * 3 * (20 + 16 + 4))));
  EXPECT_THAT(timings, Each(Field(&Timing::peak_bytes, Gt(weights))));
}

TEST(Bench, RandomSpikesHaveTheRequestedDensity) {
  const std::vector<Timing> timings = snn({.nodes = {200, 16, 4}, .steps = 20, .batch = 16, .density = 0.25}, quick);
  EXPECT_EQ(of(timings, &Timing::rule), (std::vector<std::string>{"bp", "grapes", "bp", "grapes", "encode"}));
  EXPECT_EQ(of(timings, &Timing::variant), (std::vector<std::string>{"dense", "dense", "spikes", "spikes", ""}));
  EXPECT_THAT(of(timings, &Timing::name), Each("200-16-4, T 20, random"));
  EXPECT_THAT(of(timings, &Timing::input), Each("random"));
  for (const Timing& timing : timings) EXPECT_NEAR(timing.density, 0.25, 0.01) << "64,000 draws";
}

TEST(Bench, TimesConvolutionsOverTimeWithBothRules) {
  for (const std::string norm : {"none", "threshold"}) {
    const std::vector<Timing> timings =
        cnn({.model = "spiking-vgg:4", .norm = norm, .input = {2, 8, 8}, .batch = 4, .outputs = 3, .steps = 5}, quick);
    EXPECT_EQ(of(timings, &Timing::rule), (std::vector<std::string>{"bp", "grapes"}));
    EXPECT_THAT(of(timings, &Timing::name),
                Each("spiking-vgg:4, T 5" + (norm == "none" ? std::string() : ", threshold norm") + ", 2 x 8 x 8"));
    EXPECT_THAT(timings, Each(Field(&Timing::baseline_us, Gt(0))));
  }
}

TEST(Bench, MnistIsUsedOnlyOnRequest) {
  for (const SnnCase& which : snn_cases("random")) EXPECT_EQ(which.input, "random");
  EXPECT_EQ(snn_cases("mnist").front().input, "mnist");
  const char* const names[] = {"GRAPES_DATA", "XDG_CACHE_HOME", "HOME"};
  for (const char* name : names) setenv(name, "/nonexistent", 1);
  try {
    const std::vector<Timing> timings = snn(snn_cases("mnist").front(), quick);  // if the system has it
    EXPECT_THAT(of(timings, &Timing::name), Each("784-256-256-10, T 25, mnist"));
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("mnist"), std::string::npos) << error.what();
  }
}

TEST(Bench, TimesFusedAndPlainOperations) {
  EXPECT_EQ(of(update("adam", "float32", quick), &Timing::variant), (std::vector<std::string>{"fused", "plain"}));
  EXPECT_EQ(of(factor({8, 5}, "float64", quick), &Timing::variant), (std::vector<std::string>{"fused", "plain"}));
}

TEST(Bench, PulsesOfAnArrayAreCounted) {
  const std::vector<Timing> timings = crossbar({.batch = 1}, quick);
  ASSERT_EQ(timings.size(), 2U);
  EXPECT_GT(timings[0].pulses, 100);
  EXPECT_EQ(timings[1].pulses, 0) << "a read";
}

TEST(Bench, EveryFieldIsWritten) {
  Timing timing;
  timing.name = "x";
  timing.input = "mnist";
  timing.density = 0.5;
  const nlohmann::json line = to_json(timing);
  EXPECT_EQ(line.at("case"), "x");
  EXPECT_EQ(line.at("input"), "mnist");
  EXPECT_EQ(line.at("density"), 0.5);
  EXPECT_TRUE(line.contains("baseline_us"));
}

}  // namespace
}  // namespace grapes::bench
