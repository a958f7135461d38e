#include "grapes/experiment/presets.h"

#include "grapes/base/text.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/key.h"

#include <gtest/gtest.h>

#include <string>

namespace grapes::experiment {
namespace {

TEST(Presets, EveryPresetIsAValidConfiguration) {
  for (const Preset& row : presets()) {
    Config config;
    begin_from(config, row.name);
    EXPECT_NO_THROW(check(config)) << row.name;
    EXPECT_NE(find_key("data").get(config), find_key("data").get({})) << row.name;
  }
}

TEST(Presets, ArmsOfMammothHaveTheMethodAndTheMemoryOfTheirName) {
  for (const std::string name : {"mammoth-permuted-mnist", "mammoth-rotated-mnist"}) {
    Config config;
    begin_from(config, name);
    EXPECT_EQ(config.compare.arms.size(), 15) << name;
    for (const std::string& arm : config.compare.arms) {
      const Config one = with_arm(config, arm);
      const std::size_t dash = arm.rfind('-');
      if (const auto size = to_integer(arm.substr(dash + 1)); dash != std::string::npos && size) {
        EXPECT_EQ(one.continual.replay_buffer, *size) << arm;
        const std::string method = arm.substr(0, dash);
        EXPECT_EQ(one.continual.method, method == "er" ? "replay" : method);
      }
      EXPECT_EQ(with_arm(config, arm == "bp" ? "grapes" : arm + "+grapes").network.rule.modulation, "grapes") << arm;
      EXPECT_EQ(one.optimizer.optimizer, "sgd");
      EXPECT_EQ(one.data.validation_split, 0);
    }
  }
}

}  // namespace
}  // namespace grapes::experiment
