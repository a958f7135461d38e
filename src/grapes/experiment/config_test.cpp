#include "grapes/experiment/config.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <map>
#include <set>

namespace grapes::experiment {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <class Action>
std::string refusal(const Action& action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "nothing was refused";
}

std::string refusal_of_text(const std::string& text) {
  Config config;
  return refusal([&] { read_toml_text(config, text, "my.toml"); });
}

/// A value that is not the default, for every key.
const std::map<std::string, std::string>& others() {
  static const std::map<std::string, std::string> values = {{"data", "a \"quoted\" \\ name.csv"},
                                                            {"data-dir", "/data"},
                                                            {"validation", "0.25"},
                                                            {"test", "300"},
                                                            {"train-limit", "1000"},
                                                            {"test-limit", "500"},
                                                            {"order", "file"},
                                                            {"pad", "32"},
                                                            {"normalize", "standard"},
                                                            {"augment", "rotate=10"},
                                                            {"label-column", "price,größe"},
                                                            {"targets", "numbers"},
                                                            {"event-steps", "10"},
                                                            {"event-values", "counts"},
                                                            {"neuron", "lif"},
                                                            {"recurrent", "true"},
                                                            {"g", "relu"},
                                                            {"decay", "0.7"},
                                                            {"learn-decay", "per-node"},
                                                            {"threshold", "0.5"},
                                                            {"learn-threshold", "false"},
                                                            {"synapse", "0.5"},
                                                            {"reset", "subtract"},
                                                            {"detach-reset", "true"},
                                                            {"surrogate", "arctan"},
                                                            {"surrogate-width", "0.5"},
                                                            {"truncate", "5"},
                                                            {"compounding", "true"},
                                                            {"products", "dense"},
                                                            {"encoder", "latency"},
                                                            {"steps", "10"},
                                                            {"peak-rate", "0.5"},
                                                            {"readout", "max_membrane"},
                                                            {"patience", "3"},
                                                            {"download", "false"},
                                                            {"model", "mlp:32"},
                                                            {"activation", "tanh"},
                                                            {"output", "sigmoid"},
                                                            {"bias", "true"},
                                                            {"initializer", "xavier"},
                                                            {"feedback-init", "nokland"},
                                                            {"norm", "batch"},
                                                            {"recompute", "true"},
                                                            {"dropout", "0.1"},
                                                            {"dropout-in-evaluation", "true"},
                                                            {"precision", "float64"},
                                                            {"route", "dfa"},
                                                            {"modulation", "constant:1.85,1.79"},
                                                            {"responsibility", "outgoing"},
                                                            {"gain", "3"},
                                                            {"clip", "0.5,1.5"},
                                                            {"factor-bits", "2"},
                                                            {"analog", "soft-bounds:noise=2,imbalance=0.1"},
                                                            {"analog-real", "forward,update"},
                                                            {"analog-read", "dac-bits=8,adc-bits=0"},
                                                            {"analog-responsibility", "serial"},
                                                            {"analog-pulses", "10"},
                                                            {"analog-share", "0.5"},
                                                            {"analog-drift", "1000"},
                                                            {"factors-every", "10"},
                                                            {"optimizer", "adam"},
                                                            {"learning-rate", "0.001"},
                                                            {"momentum", "0.5"},
                                                            {"rho", "0.95"},
                                                            {"beta1", "0.8"},
                                                            {"beta2", "0.99"},
                                                            {"epsilon", "1e-07"},
                                                            {"weight-decay", "1e-05"},
                                                            {"schedule", "step:30,0.1"},
                                                            {"warm-up", "0.5"},
                                                            {"epochs", "3"},
                                                            {"batch", "15"},
                                                            {"loss", "mse"},
                                                            {"seed", "7"},
                                                            {"checkpoint-every", "5"},
                                                            {"evaluate-every", "2"},
                                                            {"label", "mine"},
                                                            {"arms", "bp,constant:1.85,1.79,fa+grapes"},
                                                            {"seeds", "10"},
                                                            {"tune", "true"},
                                                            {"grid", "0.01,0.1"},
                                                            {"tune-epochs", "2"},
                                                            {"tune-seeds", "3"},
                                                            {"target", "0.9"},
                                                            {"sweep", "factor-bits={}"},
                                                            {"sweep-values", "0,2,4"},
                                                            {"first-sample-mask", "true"},
                                                            {"single-factor", "true"},
                                                            {"unmasked-first", "true"},
                                                            {"factors-at-rest", "true"},
                                                            {"carry-remainder", "true"},
                                                            {"scenario", "permuted"},
                                                            {"tasks", "10"},
                                                            {"manifest", "tasks.json"},
                                                            {"optimizer-state", "kept"},
                                                            {"curve-points", "3"},
                                                            {"curve-examples", "200"},
                                                            {"method", "ewc"},
                                                            {"ewc-strength", "20"},
                                                            {"fisher-examples", "50"},
                                                            {"si-strength", "2"},
                                                            {"si-damping", "0.01"},
                                                            {"lwf-strength", "0.5"},
                                                            {"lwf-temperature", "3"},
                                                            {"replay-buffer", "500"},
                                                            {"device", "cuda:1"},
                                                            {"threads", "2"},
                                                            {"jobs", "4"}};
  return values;
}

TEST(Config, EveryKeyCanBeSetWrittenAndReadBack) {
  const Config plain;
  for (const Key& key : keys()) {
    ASSERT_TRUE(others().count(key.name)) << key.name;
    Config config;
    set(config, key.name, others().at(key.name));
    EXPECT_EQ(key.get(config), others().at(key.name));
    EXPECT_NE(key.get(config), key.get(plain)) << key.name;
    for (const bool comments : {false, true}) {
      Config back;
      read_toml_text(back, to_toml(config, comments), "written");
      for (const Key& other : keys()) EXPECT_EQ(other.get(back), other.get(config)) << key.name << ": " << other.name;
    }
  }
}

TEST(Config, NamesAreUniqueAndEveryDefaultIsAllowed) {
  std::set<std::string> names;
  for (const Key& key : keys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_FALSE(key.meaning.empty()) << key.name;
    EXPECT_FALSE(key.values.empty()) << key.name;
    Config config;
    EXPECT_NO_THROW(key.set(config, key.get(config))) << key.name;
  }
  EXPECT_NO_THROW(check(Config{}));
}

TEST(Config, OneRunIsWrittenWithoutTheKeysOfAComparison) {
  Config config;
  EXPECT_THAT(to_toml(config), HasSubstr("arms = [\"bp\""));
  EXPECT_THAT(to_toml(with_arm(config, "grapes")), AllOf(Not(HasSubstr("arms = ")), Not(HasSubstr("scenario = "))));
  set(config, "scenario", "split");
  EXPECT_THAT(to_toml(with_arm(config, "ewc")),
              AllOf(HasSubstr("scenario = \"split\""), HasSubstr("method = \"ewc\"")));
}

TEST(Config, ValuesThatCannotBeAreRefusedByName) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> bad = {
      {"learning-rate", {"0", "-0.1", "nan", "inf", "fast", "", "0.1x"}},
      {"dropout", {"1", "-0.1", "nan"}},
      {"momentum", {"1"}},
      {"batch", {"0", "1.5", "-3"}},
      {"epochs", {"0", "ten"}},
      {"validation", {"-1", "1.5", "nan"}},
      {"bias", {"yes", "1"}},
      {"clip", {"2,1", "1", "wide"}},
      {"factor-bits", {"17", "-1", "few"}},
      {"modulation", {"constant", "constant:0", "constant:x", "grapes:2"}},
      {"grid", {"0.1,0", "0.1,,0.2"}},
      {"arms", {"bp,,grapes", ""}},
      {"threads", {"0"}},
      {"device", {"gpu", "cuda:", "cuda:x", "cuda:-1", ""}},
  };
  for (const auto& [key, values] : bad)
    for (const std::string& value : values) {
      Config config;
      const std::string said = refusal([&, k = key] { set(config, k, value); });
      EXPECT_THAT(said, AllOf(HasSubstr(key), HasSubstr("'" + value + "'"), HasSubstr("takes"))) << key << value;
    }
}

TEST(Config, NearestNamesAreOffered) {
  Config config;
  EXPECT_THAT(refusal([&] { set(config, "lerning-rate", "1"); }),
              AllOf(HasSubstr("unknown key 'lerning-rate'"), HasSubstr("did you mean 'learning-rate'")));
  EXPECT_THAT(refusal([&] { set(config, "activation", "rulu"); }), HasSubstr("did you mean 'relu'"));
  EXPECT_THAT(refusal([&] { set(config, "route", "bb"); }), HasSubstr("did you mean 'bp'"));
  EXPECT_THAT(refusal([&] { set(config, "modulation", "grape"); }), HasSubstr("did you mean 'grapes'"));
  EXPECT_THAT(refusal([&] { set(config, "model", "mpl:3"); }), HasSubstr("did you mean 'mlp'"));
  EXPECT_THAT(refusal([&] { set(config, "schedule", "cosin"); }), HasSubstr("did you mean 'cosine'"));
}

TEST(Config, TomlErrorsNameFileLineAndColumn) {
  EXPECT_THAT(refusal_of_text("epochs = 3\nlerning-rate = 0.1\n"),
              AllOf(HasSubstr("my.toml:2:1: "), HasSubstr("did you mean 'learning-rate'")));
  EXPECT_THAT(refusal_of_text("epochs = 3\n\nlearning-rate =   -1\n"), HasSubstr("my.toml:3:19: learning-rate = '-1'"));
  EXPECT_THAT(refusal_of_text("learning-rate = nan"), HasSubstr("my.toml:1:17: learning-rate = 'nan'"));
  EXPECT_THAT(refusal_of_text("epochs = = 3"), HasSubstr("my.toml:1:10: "));
  EXPECT_THAT(refusal_of_text("epochs = 3\nepochs = 4"), HasSubstr("my.toml:2:"));
  EXPECT_THAT(refusal_of_text("epochs = { a = 1 }"), HasSubstr("my.toml:1:10: epochs takes"));
  EXPECT_THAT(refusal_of_text("[arm.mine]\ndata = \"mnist\""), HasSubstr("my.toml:2:1: an arm cannot set 'data'"));
  EXPECT_THAT(refusal_of_text("[arm.mine]\ngian = 1"), HasSubstr("my.toml:2:1: unknown key 'gian'"));
  EXPECT_THAT(refusal_of_text("[arms.mine]\ngain = 1"), HasSubstr("[arm.NAME]"));
  Config config;
  EXPECT_THROW(read_toml(config, "no/such/file.toml"), DataError);
}

TEST(Config, ReadingTellsWhichKeysWereGiven) {
  Config config;
  EXPECT_THAT(read_toml_text(config, "epochs = 3\nseeds = 2\n[arm.x]\ngain = 3", "t"),
              testing::UnorderedElementsAre("epochs", "seeds", "arm"));
}

TEST(Config, OwnArms) {
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
  Config back;
  read_toml_text(back, to_toml(config), "written");
  EXPECT_EQ(back.own_arms, config.own_arms);
  EXPECT_EQ(back.compare.arms, config.compare.arms);
}

TEST(Config, ArmsByName) {
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

TEST(Config, ArmsOfSeveralTasksNameMethodsToo) {
  Config config;
  set(config, "scenario", "permuted");
  const Config both = with_arm(config, "ewc+grapes");
  EXPECT_EQ(both.continual.method, "ewc");
  EXPECT_EQ(both.network.rule.modulation, "grapes");
  EXPECT_EQ(both.network.rule.route, "bp");
  EXPECT_EQ(both.arm, "ewc+grapes");
  EXPECT_EQ(with_arm(config, "grapes+ewc").arm, "ewc+grapes");  // one name for one thing
  EXPECT_EQ(with_arm(config, "replay+fa+uniform").arm, "replay+fa+uniform");
  EXPECT_EQ(with_arm(config, "joint").network.rule.modulation, "none");
  const Config constant = with_arm(config, "constant-2");
  EXPECT_EQ(constant.network.rule.constants, (std::vector<double>{2}));
  EXPECT_EQ(constant.arm, "constant-2");
  EXPECT_THAT(refusal([&] { with_arm(config, "ewc+si"); }), HasSubstr("unknown arm 'ewc+si'"));
  EXPECT_THAT(refusal([&] { with_arm(config, "ewk"); }), HasSubstr("did you mean 'ewc'"));
  EXPECT_EQ(epochs_of(config), 50);
  set(config, "patience", "2");
  EXPECT_THAT(refusal([&] { check(config); }), HasSubstr("patience"));
  EXPECT_THAT(refusal([] { check(with_arm({}, "ewc")); }), HasSubstr("set scenario"));
}

TEST(Config, WhatNoSingleKeyCanKnow) {
  Config config;
  set(config, "arms", "bp,grapes,bp+grapes");
  EXPECT_THAT(refusal([&] { check(config); }), HasSubstr("'bp+grapes' stands there twice"));
  config = {};
  set(config, "tune", "true");
  set(config, "validation", "0");
  EXPECT_THAT(refusal([&] { check(config); }), HasSubstr("validation"));
}

TEST(Config, ArraysThatLearnByPulsesRefuseWhatNeedsAGradient) {
  Config config;
  set(config, "analog", "soft-bounds");
  check(config);
  Config rule = config;
  rule.optimizer.weight_decay = 0.5;
  EXPECT_THAT(refusal([&] { check(rule); }), HasSubstr("without weight decay; weight-decay is 0.5"));
  rule.network.analog.real = "forward,backward";
  check(rule);
  rule = config;
  rule.compare.arms = {"bp", "slow"};
  rule.own_arms = {{"slow", {{"optimizer", "adam"}}}};
  EXPECT_THAT(refusal([&] { check(rule); }), HasSubstr("arm 'slow': analog: arrays learn by pulses, which are sgd"));
  config.continual.scenario = "permuted";
  config.compare.arms = {"bp", "replay", "ewc"};
  EXPECT_THAT(refusal([&] { check(config); }), HasSubstr("arm 'ewc': analog: arrays learn by pulses, without the "
                                                         "gradients that method ewc needs"));
}

TEST(Config, PairingIsEqualForWhatBeginsAlikeAndNothingElse) {
  const Config base;
  const std::string pair = pairing(base, "abc");
  EXPECT_NE(pairing(base, "abd"), pair);
  for (const std::string arm : {"bp", "grapes", "uniform", "dfa+grapes"})
    EXPECT_EQ(pairing(with_arm(base, arm), "abc"), pair) << arm;
  const std::set<std::string> apart = {
      "data",        "validation", "test",         "train-limit", "test-limit",   "order",     "pad",
      "normalize",   "augment",    "label-column", "targets",     "model",        "bias",      "norm",
      "initializer", "batch",      "epochs",       "event-steps", "event-values", "recurrent", "encoder",
      "steps",       "peak-rate",  "patience",     "scenario",    "tasks",        "manifest"};
  for (const Key& key : keys()) {
    Config config;
    key.set(config, others().at(key.name));
    EXPECT_EQ(pairing(config, "abc") != pair, apart.count(key.name) == 1) << key.name;
  }
}

}  // namespace
}  // namespace grapes::experiment
