#include "grapes/continual/turning.h"

#include "grapes/continual/continual_test.h"
#include "grapes/data/transform.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <map>
#include <set>

namespace grapes::continual {
namespace {

using ::testing::HasSubstr;

const data::Splits& all_digits() {
  static const data::Splits splits = data::open({}, 1);
  return splits;
}

Scenario stream() { return make_scenario(describe("mnist-360", 27, all_digits(), 1), all_digits(), "scenario"); }

data::Batch all_of(const data::DatasetPtr& part) { return part->get(at::arange(part->size(), at::kLong)); }

TEST(Turning, EveryClassIsInSixTasksOfTwoClassesAndEveryExampleInOne) {
  const Scenario scenario = stream();
  EXPECT_EQ(scenario.info.outputs, 9);
  EXPECT_FALSE(scenario.shuffle);
  std::map<std::int64_t, std::size_t> tasks_of;
  std::int64_t examples = 0, tests = 0;
  for (std::size_t t = 0; t < 27; ++t) {
    const at::Tensor targets = scenario.tasks[t].train->targets();
    std::set<std::int64_t> classes;
    for (std::int64_t i = 0; i < targets.size(0); ++i) classes.insert(targets[i].item<std::int64_t>());
    const auto first = static_cast<std::int64_t>(t % 9);
    EXPECT_EQ(classes, (std::set<std::int64_t>{first, (first + 1) % 9}));
    for (const std::int64_t c : classes) ++tasks_of[c];
    examples += targets.size(0);
    tests += scenario.tasks[t].test->size();
    const auto share = [&](const at::Tensor& some) { return some.eq(first).to(at::kDouble).mean().item<double>(); };
    EXPECT_NEAR(share(targets.narrow(0, 0, targets.size(0) / 2)), share(targets), 0.05) << t;
  }
  for (const auto& [c, tasks] : tasks_of) EXPECT_EQ(tasks, 6) << c;
  const auto below_nine = [](const data::DatasetPtr& part) { return part->targets().lt(9).sum().item<std::int64_t>(); };
  EXPECT_EQ(examples, below_nine(all_digits().train));
  EXPECT_EQ(tests, below_nine(all_digits().test));
}

TEST(Turning, AnglesGrowWithThePlaceOfAnExampleInTheStream) {
  const Scenario scenario = stream();
  const data::DatasetPtr& train = all_digits().train;
  for (const std::int64_t c : {0, 3, 8}) {
    const at::Tensor rows = train->targets().eq(c).nonzero().flatten();
    const std::int64_t n = rows.size(0);
    std::int64_t i = 0;  // place of an example among those of its class
    for (const Task& task : scenario.tasks) {
      const data::Batch batch = all_of(task.train);
      for (std::int64_t k = 0; k < batch.targets.size(0); ++k) {
        if (batch.targets[k].item<std::int64_t>() != c) continue;
        const double degrees =
            60.0 * static_cast<double>(c - 1) + 360.0 * static_cast<double>(i) / static_cast<double>(n);
        const data::DatasetPtr upright = data::subset(train, rows.narrow(0, i, 1));
        EXPECT_TRUE(at::allclose(
            batch.inputs[k], all_of(data::rotated(upright, degrees, all_digits().normalization)).inputs[0], 1e-5, 1e-6))
            << c << " " << i;
        ++i;
      }
    }
    EXPECT_EQ(i, n);
  }
}

TEST(Turning, OtherNumbersOfTasksFewClassesAndInvalidTasksAreErrors) {
  EXPECT_THAT(refusal([] { describe("mnist-360", 9, all_digits(), 1); }), HasSubstr("tasks must be 27 in mnist-360"));
  data::Splits few = all_digits();
  few.info.outputs = 8;
  EXPECT_THAT(refusal([&] { describe("mnist-360", 27, few, 1); }), HasSubstr("needs images of at least nine classes"));
  record::Json manifest = describe("mnist-360", 27, all_digits(), 1);
  manifest["tasks"][4]["parts"] = {0, 6};
  EXPECT_THAT(refusal([&] { make_scenario(manifest, all_digits(), "file"); }), HasSubstr("file: task 5: expected two"));
}

}  // namespace
}  // namespace grapes::continual
