#include "grapes/cost/study.h"

#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/cost/document.h"
#include "grapes/cost/table.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <set>

namespace grapes::cost {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

experiment::Config small() {
  experiment::Config config;
  config.network.model = nn::parse_model("mlp:3,2");
  config.training.batch_size = 5;
  return config;
}
const Problem four_to_two{{{4}, 2}};

Prices standard() {
  const EnergyTable& table = standard_energies();
  return {table, find_row(table.numbers, "numbers", "float32")};
}

TEST(Study, HasTheConfiguredArmAndEighteenOthers) {
  experiment::Config config = small();
  config.network.rule.route = "dfa";
  config.network.rule.modulation = "grapes";
  config.optimizer.optimizer = "nag";
  config.arm = "mine";  // a label does not change the rule
  const Study made = study(config, four_to_two);
  EXPECT_EQ(made.arm.name, "dfa+grapes");
  EXPECT_EQ(made.arm.optimizer, "nag");
  EXPECT_EQ(made.arm.layers.size(), 3u);
  std::set<std::string> names;
  for (const Arm& arm : made.arms) names.insert(arm.name + " " + arm.optimizer);
  EXPECT_EQ(names.size(), 18u);
  EXPECT_TRUE(names.contains("bp sgd") && names.contains("fa+grapes momentum") && names.contains("dfa adam"));
}

TEST(Study, SettingsThatAreNotCountedAreErrors) {
  const auto field = [](const auto& change) -> std::string {
    experiment::Config config = small();
    change(config.network);
    try {
      study(config, four_to_two);
    } catch (const UsageError& error) {
      return error.field();
    }
    return "nothing";
  };
  EXPECT_EQ(field([](nn::Options&) {}), "nothing");
  EXPECT_EQ(field([](nn::Options& network) { network.norm = nn::Norm::batch; }), "norm");
  EXPECT_EQ(field([](nn::Options& network) { network.precision.bf16 = true; }), "precision");
  EXPECT_EQ(field([](nn::Options& network) { network.recompute = true; }), "recompute");
  EXPECT_EQ(field([](nn::Options& network) { network.spiking.truncate = 3; }), "tbptt_steps");
}

/// Six sequences. Example n has n + 4 steps; a batch is as long as its longest sequence.
class Sequences final : public data::Dataset {
 public:
  Sequences() {
    info_.input_shape = {4};
    info_.outputs = 2;
    info_.sequence = true;
  }
  std::int64_t size() const override { return 6; }
  const data::DatasetInfo& info() const override { return info_; }
  data::Batch get(const at::Tensor& rows, std::uint64_t) const override {
    return {at::zeros({rows.size(0), rows.max().item<std::int64_t>() + 4, 4}), at::zeros({rows.size(0)}, at::kLong)};
  }
  at::Tensor targets() const override { return at::zeros({6}, at::kLong); }

 private:
  data::DatasetInfo info_;
};

TEST(Study, CountsTheTimeStepsOfTheFirstBatchOfSequences) {
  data::Splits splits;
  splits.train = std::make_shared<Sequences>();
  splits.info = splits.train->info();
  const Problem problem = problem_of(small(), splits);  // batches of 5: the longest has 8 steps
  EXPECT_EQ(problem.steps, 8);
  EXPECT_EQ(problem.signature.outputs, 2);
  splits.info.sequence = false;
  EXPECT_EQ(problem_of(small(), splits).steps, 1);
}

TEST(CostDocument, RatiosAreToBpByTheSameOptimizer) {
  const nlohmann::json document = document_of(study(small(), four_to_two), standard());
  EXPECT_EQ(document["total"]["phases"]["forward"]["macs"], 5 * (12 + 6 + 4));
  for (const nlohmann::json& arm : document["arms"]) {
    if (arm["arm"] == "bp") {
      EXPECT_EQ(arm["to_bp"]["energy"], 1);
    }
    if (arm["arm"] == "grapes") {
      EXPECT_EQ(arm["to_bp"]["macs"], 1);
      EXPECT_GT(arm["to_bp"]["energy"].get<double>(), 1);
    }
  }
}

TEST(CostTable, NumbersHaveThreeSignificantDigitsAndEnergiesFour) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(612), "612");
  EXPECT_EQ(count_text(0.5), "0.50");
  EXPECT_EQ(count_text(999.4), "999");
  EXPECT_EQ(count_text(999.5), "1.00 k");
  EXPECT_EQ(count_text(12'810'000), "12.8 M");
  EXPECT_EQ(energy_text(265.7e6), "265.7");
  EXPECT_EQ(energy_text(1.2345e6), "1.234");
  EXPECT_EQ(energy_text(12345.6e6), "12346");
  EXPECT_EQ(energy_text(0), "0.000");
}

TEST(CostTable, HasARowForEachLayerAndPhaseWithOperations) {
  const Study made = study(small(), four_to_two);
  const Table rows = layer_table(made.arm, standard());
  EXPECT_THAT(rows.at(1), ElementsAre("layers.0", "forward", "60", "15", "32", "15", "", "", testing::_));
  EXPECT_EQ(rows.at(2)[0], "") << "a layer is named once";
  EXPECT_EQ(rows.back()[1], "all");
  for (const auto& row : rows) EXPECT_NE(row[1], "modulation") << "bp has none";
  const nlohmann::json arms = documents_of(made.arms, standard());
  EXPECT_EQ(arm_table(arms).size(), 19u);
  EXPECT_EQ(arm_table(arms).at(1).back(), "1.0000");
  EXPECT_THAT(picture("A title", arms), HasSubstr("dfa+grapes, adam"));
}

}  // namespace
}  // namespace grapes::cost
