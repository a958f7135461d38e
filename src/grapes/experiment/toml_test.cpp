#include "grapes/experiment/toml.h"

#include "grapes/experiment/arms.h"
#include "grapes/experiment/experiment_test.h"
#include "grapes/experiment/key.h"

#include <gmock/gmock.h>

#include <string>

namespace grapes::experiment {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Toml, EveryKeyCanBeSetWrittenAndReadBack) {
  const Config plain;
  for (const Key& key : keys()) {
    ASSERT_TRUE(other_values().count(key.name)) << key.name;
    Config config;
    set(config, key.name, other_values().at(key.name));
    EXPECT_EQ(key.get(config), other_values().at(key.name));
    EXPECT_NE(key.get(config), key.get(plain)) << key.name;
    for (const bool comments : {false, true}) {
      Config back;
      read_toml_text(back, to_toml(config, comments), "written");
      for (const Key& other : keys()) EXPECT_EQ(other.get(back), other.get(config)) << key.name << ": " << other.name;
    }
  }
}

TEST(Toml, OneRunIsWrittenWithoutTheKeysOfAComparison) {
  Config config;
  EXPECT_THAT(to_toml(config), HasSubstr("arms = [\"bp\""));
  EXPECT_THAT(to_toml(with_arm(config, "grapes")), AllOf(Not(HasSubstr("arms = ")), Not(HasSubstr("scenario = "))));
  set(config, "scenario", "split");
  EXPECT_THAT(to_toml(with_arm(config, "ewc")),
              AllOf(HasSubstr("scenario = \"split\""), HasSubstr("method = \"ewc\"")));
}

std::string refusal_of_text(const std::string& text) {
  Config config;
  return refusal([&] { read_toml_text(config, text, "my.toml"); });
}

TEST(Toml, ErrorsNameFileLineAndColumn) {
  EXPECT_THAT(refusal_of_text("epochs = 3\nlerning-rate = 0.1\n"),
              AllOf(HasSubstr("my.toml:2:1: "), HasSubstr("did you mean 'learning-rate'")));
  EXPECT_THAT(refusal_of_text("epochs = 3\n\nlearning-rate =   -1\n"), HasSubstr("my.toml:3:19: learning-rate = '-1'"));
  EXPECT_THAT(refusal_of_text("learning-rate = nan"), HasSubstr("my.toml:1:17: learning-rate = 'nan'"));
  EXPECT_THAT(refusal_of_text("epochs = = 3"), HasSubstr("my.toml:1:10: "));
  EXPECT_THAT(refusal_of_text("epochs = 3\nepochs = 4"), HasSubstr("my.toml:2:"));
  EXPECT_THAT(refusal_of_text("epochs = { a = 1 }"), HasSubstr("my.toml:1:10: epochs: expected text"));
  EXPECT_THAT(refusal_of_text("[arm.mine]\ndata = \"mnist\""), HasSubstr("my.toml:2:1: an arm cannot set 'data'"));
  EXPECT_THAT(refusal_of_text("[arm.mine]\ngian = 1"), HasSubstr("my.toml:2:1: unknown key 'gian'"));
  EXPECT_THAT(refusal_of_text("[arms.mine]\ngain = 1"), HasSubstr("[arm.NAME]"));
  Config config;
  EXPECT_THROW(read_toml(config, "no/such/file.toml"), DataError);
}

TEST(Toml, ReadingReturnsTheKeysThatWereGiven) {
  Config config;
  EXPECT_THAT(read_toml_text(config, "epochs = 3\nseeds = 2\n[arm.x]\ngain = 3", "t"),
              testing::UnorderedElementsAre("epochs", "seeds", "arm"));
}

}  // namespace
}  // namespace grapes::experiment
