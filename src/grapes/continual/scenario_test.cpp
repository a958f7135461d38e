#include "grapes/continual/scenario.h"

#include "grapes/continual/continual_test.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

namespace grapes::continual {
namespace {

using record::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const data::Splits& digits() {
  static const data::Splits splits = [] {
    data::Options options;
    options.train_limit = 300;
    return data::open(options, 1);
  }();
  return splits;
}

Scenario make(const std::string& name, std::int64_t tasks, std::uint64_t seed) {
  return make_scenario(describe(name, tasks, digits(), seed), digits(), "scenario");
}

data::Batch first_of(const data::DatasetPtr& part) {
  return part->get(at::arange(std::min<std::int64_t>(20, part->size()), at::kLong));
}

TEST(Scenario, DependsOnlyOnTheSeedAndRoundTripsThroughItsManifest) {
  for (const ScenarioRow& row : scenarios()) {
    const bool drawn = row.name != "mnist-360";
    const std::int64_t tasks = drawn ? 4 : 27;
    const Json manifest = describe(row.name, tasks, digits(), 7);
    EXPECT_EQ(manifest, describe(row.name, tasks, digits(), 7)) << row.name;
    EXPECT_EQ(manifest["tasks"] != describe(row.name, tasks, digits(), 8)["tasks"], drawn) << row.name;
    const Scenario one = make_scenario(manifest, digits(), "scenario");
    const Scenario other = make_scenario(Json::parse(manifest.dump()), digits(), "file");
    ASSERT_EQ(one.tasks.size(), tasks);
    for (std::size_t k = 0; k < one.tasks.size(); ++k)
      for (const auto part : {&Task::train, &Task::validation, &Task::test}) {
        const data::Batch a = first_of(one.tasks[k].*part), b = first_of(other.tasks[k].*part);
        EXPECT_TRUE(a.inputs.equal(b.inputs)) << row.name << k;
        EXPECT_TRUE(a.targets.equal(b.targets)) << row.name << k;
      }
  }
}

TEST(Scenario, AnotherProgramCanMakePermutedTasksFromTheManifest) {
  const Scenario scenario = make("permuted", 3, 5);
  const at::Tensor plain = first_of(digits().test).inputs.flatten(1);
  EXPECT_TRUE(first_of(scenario.tasks[0].test).inputs.flatten(1).equal(plain));
  std::set<std::string> orders;
  for (std::size_t k = 1; k < 3; ++k) {
    const auto order = scenario.manifest["tasks"][k]["permutation"].get<std::vector<std::int64_t>>();
    orders.insert(scenario.manifest["tasks"][k].dump());
    EXPECT_TRUE(
        first_of(scenario.tasks[k].test).inputs.flatten(1).equal(plain.index_select(1, at::tensor(order, at::kLong))));
  }
  EXPECT_EQ(orders.size(), 2);
  EXPECT_FALSE(scenario.heads.defined());
  EXPECT_EQ(scenario.info.outputs, 10);
}

TEST(Scenario, RotatedTasksDivideHalfATurn) {
  const Scenario scenario = make("rotated", 6, 3);
  EXPECT_EQ(scenario.manifest["tasks"][0]["degrees"], 0);
  for (int k = 1; k < 6; ++k) {
    const double degrees = scenario.manifest["tasks"][static_cast<std::size_t>(k)]["degrees"];
    EXPECT_GE(degrees, 30 * k);
    EXPECT_LT(degrees, 30 * (k + 1));
  }
}

TEST(Scenario, TheAllScenariosAlsoChangeTheFirstTask) {
  const Scenario permuted = make("all-permuted", 3, 5), some_permuted = make("permuted", 3, 5);
  EXPECT_EQ(permuted.manifest["tasks"][0]["permutation"].size(), 64);
  EXPECT_EQ(permuted.manifest["tasks"][1], some_permuted.manifest["tasks"][1]);
  double least = 180, most = 0, sum = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Json manifest = describe("all-rotated", 4, digits(), seed);
    for (const Json& task : manifest["tasks"]) {
      const double degrees = task["degrees"];
      least = std::min(least, degrees);
      most = std::max(most, degrees);
      sum += degrees;
    }
  }
  EXPECT_TRUE(0 <= least && least < 10 && 170 < most && most < 180) << least << " " << most;
  EXPECT_NEAR(sum / 200, 90, 12);  // sd 52 / sqrt(200) = 3.7
}

TEST(Scenario, DomainIncrementalTasksReuseTheOutputs) {
  const Scenario scenario = make("domain-incremental", 5, 2);
  EXPECT_FALSE(scenario.heads.defined());
  EXPECT_EQ(scenario.info.outputs, 2);
  const auto own = scenario.manifest["tasks"][3]["classes"].get<std::vector<std::int64_t>>();
  EXPECT_NE(scenario.info.classes[1].find(digits().info.classes[static_cast<std::size_t>(own[1])]), std::string::npos);
  const Scenario split = make("split", 5, 2);
  EXPECT_TRUE(scenario.tasks[3].train->targets().equal(split.tasks[3].train->targets()));
  EXPECT_TRUE(scenario.notes.empty());
}

TEST(Scenario, BlurredTasksExchangeExamplesAndLoseNone) {
  for (const std::string name : {"permuted", "class-incremental"}) {
    const Json manifest = describe(name, 3, digits(), 4, 0.3);
    const Scenario sharp = make(name, 3, 4), blurred = make_scenario(manifest, digits(), "file");
    std::set<std::pair<std::int64_t, std::int64_t>> all;
    std::int64_t total = 0, foreign = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      const at::Tensor& examples = blurred.examples[k];
      const std::int64_t n = sharp.tasks[k].train->size();
      EXPECT_EQ(sharp.examples[k].size(0), n);
      EXPECT_TRUE(sharp.examples[k].select(1, 0).eq(static_cast<std::int64_t>(k)).all().item<bool>());
      EXPECT_EQ(examples.size(0), n);
      total += n;
      foreign += examples.select(1, 0).ne(static_cast<std::int64_t>(k)).sum().item<std::int64_t>();
      for (std::int64_t i = 0; i < examples.size(0); ++i)
        all.emplace(examples[i][0].item<std::int64_t>(), examples[i][1].item<std::int64_t>());
    }
    EXPECT_EQ(all.size(), total) << name;
    // 0.3 of them change places, and a third of these come back.
    EXPECT_NEAR(static_cast<double>(foreign) / static_cast<double>(total), 0.2, 0.05) << name;
  }
}

TEST(Scenario, SplitTasksHaveTheirOwnClassesAndOutputs) {
  const Scenario scenario = make("split", 5, 2);
  std::set<std::int64_t> classes;
  std::int64_t examples = 0;
  for (std::size_t k = 0; k < 5; ++k) {
    const auto own = scenario.manifest["tasks"][k]["classes"].get<std::vector<std::int64_t>>();
    classes.insert(own.begin(), own.end());
    EXPECT_EQ(scenario.tasks[k].train->info().outputs, 2);
    EXPECT_LT(scenario.tasks[k].train->targets().max().item<std::int64_t>(), 2);
    EXPECT_TRUE(scenario.heads[static_cast<std::int64_t>(k)].equal(
        at::tensor({2 * static_cast<std::int64_t>(k), 2 * static_cast<std::int64_t>(k) + 1}, at::kLong)));
    examples += scenario.tasks[k].test->size();
  }
  EXPECT_EQ(classes.size(), 10);
  EXPECT_EQ(examples, digits().test->size());
  EXPECT_TRUE(scenario.notes.empty());
}

TEST(Scenario, ClassIncrementalTasksShareOneOutputLayer) {
  const Scenario scenario = make("class-incremental", 3, 2);
  EXPECT_FALSE(scenario.heads.defined());
  EXPECT_EQ(scenario.info.outputs, 9);  // three each, and one class is left out
  ASSERT_EQ(scenario.notes.size(), 1);
  EXPECT_THAT(scenario.notes[0], HasSubstr("1 of 10 classes"));
  for (std::size_t k = 0; k < 3; ++k) {
    const at::Tensor targets = scenario.tasks[k].train->targets();
    EXPECT_EQ(targets.min().item<std::int64_t>(), 3 * static_cast<std::int64_t>(k));
    EXPECT_EQ(targets.max().item<std::int64_t>(), 3 * static_cast<std::int64_t>(k) + 2);
    const auto own = scenario.manifest["tasks"][k]["classes"].get<std::vector<std::size_t>>();
    EXPECT_EQ(scenario.info.classes[3 * k + 1], digits().info.classes[own[1]]);
  }
}

TEST(Scenario, ScenariosThatDoNotFitTheDataAreErrors) {
  EXPECT_THAT(refusal([] { make("split", 6, 1); }), AllOf(HasSubstr("tasks must be at most 5"), HasSubstr("got 6")));
  EXPECT_THAT(refusal([] { describe("permutd", 2, digits(), 1); }), HasSubstr("did you mean 'permuted'"));
  data::Splits table = digits();
  table.info.input_shape = {64};
  EXPECT_THAT(refusal([&] { describe("rotated", 2, table, 1); }), HasSubstr("images"));
  table.info.problem = data::ProblemKind::regression;
  EXPECT_THAT(refusal([&] { describe("permuted", 2, table, 1); }), HasSubstr("no classes"));
  data::Splits few = digits();
  few.test = data::subset(few.test, at::tensor({0}, at::kLong));
  EXPECT_THAT(refusal([&] { make_scenario(describe("split", 5, few, 1), few, "scenario"); }),
              HasSubstr("no test examples"));
}

TEST(Scenario, ErrorsNameTheFieldOfAManifestThatDoesNotFit) {
  const Json good = describe("permuted", 2, digits(), 1), split = describe("split", 2, digits(), 1);
  const auto refused = [&](Json manifest, const std::string& pointer, const Json& value) {
    manifest[Json::json_pointer(pointer)] = value;
    return refusal([&] { make_scenario(manifest, digits(), "m.json"); });
  };
  EXPECT_THAT(refused(good, "/format", "other/1"), AllOf(HasSubstr("m.json"), HasSubstr("'format'")));
  EXPECT_THAT(refused(good, "/fingerprint", "0"), HasSubstr("does not fit this data: 'fingerprint'"));
  EXPECT_THAT(refused(good, "/input_shape", Json::array({3})), HasSubstr("'input_shape'"));
  EXPECT_THAT(refused(good, "/train_rows", 5), HasSubstr("'train_rows' must be 300"));
  EXPECT_THAT(refused(good, "/validation_rows", Json::array({1})), HasSubstr("validation"));
  EXPECT_THAT(refused(good, "/scenario", "folded"), HasSubstr("unknown scenario 'folded'"));
  EXPECT_THAT(refused(good, "/tasks", Json::array()), HasSubstr("'tasks'"));
  EXPECT_THAT(refused(good, "/tasks/1/permutation/3", 64), AllOf(HasSubstr("task 2"), HasSubstr("0 ... 63")));
  EXPECT_THAT(refused(good, "/tasks/1/permutation", "abc"), AllOf(HasSubstr("task 2"), HasSubstr("'permutation'")));
  EXPECT_THAT(refused(good, "/tasks/1/received", Json::array({Json::array({1, 0})})),
              AllOf(HasSubstr("task 2"), HasSubstr("other tasks"), HasSubstr("[1, 0]")));
  EXPECT_THAT(refused(good, "/tasks/1/received", Json::array({Json::array({0, 300})})), HasSubstr("[0, 300]"));
  EXPECT_THAT(refused(split, "/tasks/0/classes/0", 10), HasSubstr("0 ... 9"));
  EXPECT_THAT(refused(split, "/tasks/0/classes/0", split["tasks"][1]["classes"][0]), HasSubstr("one task only"));
  EXPECT_THAT(refused(split, "/tasks/0/classes", Json::array({1})),
              HasSubstr("must have the same length in each task"));
  EXPECT_THAT(refusal([] { read_manifest("/no/such/file.json"); }), HasSubstr("/no/such/file.json"));
}

}  // namespace
}  // namespace grapes::continual
