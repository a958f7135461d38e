#include "grapes/experiment/arms.h"

#include "grapes/experiment/experiment_test.h"
#include "grapes/experiment/key.h"
#include "grapes/experiment/toml.h"

#include <gmock/gmock.h>

#include <array>
#include <string>
#include <vector>

namespace grapes::experiment {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Arms, TablesOfATomlFileDefineArms) {
  Config config;
  read_toml_text(config,
                 "learning-rate = 0.3\n[arm.wide]\nmodulation = \"grapes\"\nclip = \"none\"\n[arm.slow]\n"
                 "learning-rate = 0.01\n",
                 "t");
  EXPECT_THAT(config.compare.arms, testing::ElementsAre("bp", "wide", "slow"));
  check(config);
  const Config wide = with_arm(config, "wide");
  EXPECT_EQ(wide.network.rule.modulation, "grapes");
  EXPECT_EQ(wide.network.rule.clip.kind, credit::Clip::Kind::none);
  EXPECT_EQ(wide.optimizer.learning_rate, 0.3);
  EXPECT_EQ(arm_label(wide), "wide");
  EXPECT_EQ(with_arm(config, "slow").optimizer.learning_rate, 0.01);
  const Config both = with_arm(config, "slow+fa+grapes");
  EXPECT_EQ(both.optimizer.learning_rate, 0.01);
  EXPECT_EQ(both.network.rule.route, "fa");
  EXPECT_EQ(both.network.rule.modulation, "grapes");
  EXPECT_EQ(both.arm, "slow+fa+grapes");
  EXPECT_EQ(with_arm(config, "wide+uniform").network.rule.modulation, "uniform");
  EXPECT_EQ(with_arm(config, "wide+fa").network.rule.modulation, "grapes");  // as the arm says
  EXPECT_THAT(refusal([&] { with_arm(config, "wide+slow"); }), HasSubstr("unknown arm 'wide+slow'"));
  Config back;
  read_toml_text(back, to_toml(config), "written");
  EXPECT_EQ(back.own_arms, config.own_arms);
  EXPECT_EQ(back.compare.arms, config.compare.arms);
}

TEST(Arms, NamesSelectRouteAndModulation) {
  const std::vector<std::array<std::string, 4>> cases = {
      {"bp", "bp", "none", "bp"},
      {"grapes", "bp", "grapes", "grapes"},
      {"bp+grapes", "bp", "grapes", "grapes"},
      {"grapes-local", "bp", "grapes-local", "grapes-local"},
      {"fa", "fa", "none", "fa"},
      {"fa+grapes", "fa", "grapes", "fa+grapes"},
      {"dfa+uniform", "dfa", "uniform", "dfa+uniform"},
      {"constant:1.85,1.79", "bp", "constant", "constant:1.85,1.79"}};
  for (const auto& [name, route, modulation, label] : cases) {
    const Config config = with_arm({}, name);
    EXPECT_EQ(config.network.rule.route, route) << name;
    EXPECT_EQ(config.network.rule.modulation, modulation) << name;
    EXPECT_EQ(config.arm, label) << name;
    Config unlabeled = config;
    unlabeled.arm.clear();
    EXPECT_EQ(arm_label(unlabeled), label) << name;
  }
  EXPECT_EQ(with_arm({}, "constant:1.85,1.79").network.rule.constants, (std::vector<double>{1.85, 1.79}));
  EXPECT_THAT(refusal([] { with_arm({}, "grapse"); }), HasSubstr("unknown arm 'grapse' (did you mean 'grapes'?)"));
  EXPECT_THAT(refusal([] { with_arm({}, "fa+grapse"); }), HasSubstr("unknown arm 'fa+grapse'"));
}

TEST(Arms, NamesInContinualLearningAlsoSelectAMethod) {
  Config config;
  set(config, "scenario", "permuted");
  const Config both = with_arm(config, "ewc+grapes");
  EXPECT_EQ(both.continual.method, "ewc");
  EXPECT_EQ(both.network.rule.modulation, "grapes");
  EXPECT_EQ(both.network.rule.route, "bp");
  EXPECT_EQ(both.arm, "ewc+grapes");
  EXPECT_EQ(with_arm(config, "grapes+ewc").arm, "ewc+grapes");  // one name for one thing
  EXPECT_EQ(with_arm(config, "replay+fa+uniform").arm, "replay+fa+uniform");
  EXPECT_EQ(with_arm(config, "der++").continual.method, "der++");
  EXPECT_EQ(with_arm(config, "der+++fa+grapes").arm, "der+++fa+grapes");
  EXPECT_THAT(refusal([&] { with_arm(config, "ewc+"); }), HasSubstr("unknown arm 'ewc+'"));
  EXPECT_EQ(with_arm(config, "joint").network.rule.modulation, "none");
  const Config constant = with_arm(config, "constant:2");
  EXPECT_EQ(constant.network.rule.constants, (std::vector<double>{2}));
  EXPECT_EQ(constant.arm, "constant:2");
  EXPECT_THAT(refusal([&] { with_arm(config, "ewc+si"); }), HasSubstr("unknown arm 'ewc+si'"));
  EXPECT_THAT(refusal([&] { with_arm(config, "ewk"); }), HasSubstr("did you mean 'ewc'"));
  EXPECT_EQ(epochs_of(config), 50);
  set(config, "patience", "2");
  EXPECT_THAT(refusal([&] { check(config); }), HasSubstr("patience"));
  EXPECT_THAT(refusal([] { check(with_arm({}, "ewc")); }), HasSubstr("set scenario"));
}

}  // namespace
}  // namespace grapes::experiment
