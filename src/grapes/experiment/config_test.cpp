#include "grapes/experiment/config.h"

#include "grapes/experiment/arms.h"
#include "grapes/experiment/experiment_test.h"
#include "grapes/experiment/key.h"

#include <gmock/gmock.h>

#include <set>
#include <string>

namespace grapes::experiment {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Config, KeysThatContradictEachOtherAreErrors) {
  Config config;
  set(config, "arms", "bp,grapes,bp+grapes");
  EXPECT_THAT(refusal([&] { check(config); }), HasSubstr("duplicate arm 'grapes'"));
  config = {};
  set(config, "tune", "true");
  set(config, "validation-split", "0");
  EXPECT_THAT(refusal([&] { check(config); }), HasSubstr("validation-split = 0"));
}

TEST(Config, CrossbarsThatLearnByPulsesRejectOptionsThatNeedAGradient) {
  Config config;
  set(config, "analog", "soft-bounds");
  check(config);
  Config rule = config;
  rule.optimizer.weight_decay = 0.5;
  EXPECT_THAT(refusal([&] { check(rule); }),
              HasSubstr("pulsed updates do not support weight decay; weight-decay is 0.5"));
  rule.network.analog.real.update = false;
  check(rule);
  rule = config;
  rule.compare.arms = {"bp", "slow"};
  rule.own_arms = {{"slow", {{"optimizer", "adam"}}}};
  EXPECT_THAT(refusal([&] { check(rule); }),
              HasSubstr("arm 'slow': analog: pulsed updates need optimizer sgd; got adam"));
  config.continual.scenario = "permuted";
  config.compare.arms = {"bp", "replay", "ewc"};
  EXPECT_THAT(refusal([&] { check(config); }), HasSubstr("arm 'ewc': analog: pulsed updates have no gradients, "
                                                         "which method ewc needs"));
}

TEST(Config, PairingIsEqualExactlyForRunsThatStartAlike) {
  const Config base;
  const std::string pair = pairing(base, "abc");
  EXPECT_NE(pairing(base, "abd"), pair);
  for (const std::string arm : {"bp", "grapes", "uniform", "dfa+grapes"})
    EXPECT_EQ(pairing(with_arm(base, arm), "abc"), pair) << arm;
  const std::set<std::string> apart = {"data",
                                       "validation-split",
                                       "test-split",
                                       "train-limit",
                                       "test-limit",
                                       "order",
                                       "pad",
                                       "resize",
                                       "crop",
                                       "gray",
                                       "skip-damaged",
                                       "normalize",
                                       "mean",
                                       "std",
                                       "augment",
                                       "target",
                                       "targets",
                                       "ignore",
                                       "columns",
                                       "missing",
                                       "delimiter",
                                       "header",
                                       "decimal",
                                       "encoding",
                                       "model",
                                       "bias",
                                       "norm",
                                       "initializer",
                                       "log-sigma",
                                       "unit-scales",
                                       "fan-in",
                                       "initial-weights",
                                       "grow",
                                       "prune",
                                       "batch-size",
                                       "epochs",
                                       "event-steps",
                                       "event-values",
                                       "event-bins",
                                       "event-pool",
                                       "event-polarity",
                                       "recurrent",
                                       "encoder",
                                       "time-steps",
                                       "peak-rate",
                                       "encoder-draws",
                                       "own-constants",
                                       "patience",
                                       "scenario",
                                       "tasks",
                                       "blur",
                                       "manifest"};
  for (const Key& key : keys()) {
    Config config;
    key.set(config, other_values().at(key.name));
    EXPECT_EQ(pairing(config, "abc") != pair, apart.count(key.name) == 1) << key.name;
  }
}

}  // namespace
}  // namespace grapes::experiment
