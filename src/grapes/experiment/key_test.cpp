#include "grapes/experiment/key.h"

#include "grapes/experiment/arms.h"
#include "grapes/experiment/experiment_test.h"
#include "grapes/experiment/form.h"
#include "grapes/experiment/study.h"
#include "grapes/experiment/sweep.h"
#include "grapes/experiment/toml.h"

#include <gmock/gmock.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace grapes::experiment {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Key, NamesAreUniqueAndEveryDefaultIsValid) {
  std::set<std::string> names;
  for (const Key& key : keys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_FALSE(key.meaning.empty()) << key.name;
    EXPECT_FALSE(key.takes.empty()) << key.name;
    Config config;
    EXPECT_NO_THROW(key.set(config, key.get(config))) << key.name;
  }
  EXPECT_NO_THROW(check(Config{}));
}

TEST(Key, InvalidValuesAreErrorsThatNameTheKey) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> bad = {
      {"learning-rate", {"0", "-0.1", "nan", "inf", "fast", "", "0.1x"}},
      {"dropout", {"1", "-0.1", "nan"}},
      {"momentum", {"1"}},
      {"batch-size", {"0", "1.5", "-3"}},
      {"epochs", {"0", "ten"}},
      {"validation-split", {"-1", "1.5", "nan"}},
      {"bias", {"yes", "1"}},
      {"clip", {"2,1", "1", "wide"}},
      {"factor-bits", {"17", "-1", "few"}},
      {"modulation", {"constant", "constant:0", "constant:x", "grapes:2", "power", "power:x", "power:inf"}},
      {"grid", {"0.1,0", "0.1,,0.2"}},
      {"arms", {"bp,,grapes", ""}},
      {"threads", {"0"}},
      {"precision", {"weights=int99"}},
      {"analog", {"reram:noise", "reram:noise=-1"}},
      {"analog-read", {"dac-bits=7.9"}},
      {"device", {"gpu", "cuda:", "cuda:x", "cuda:-1", ""}},
  };
  for (const auto& [key, values] : bad)
    for (const std::string& value : values) {
      Config config;
      const std::string said = refusal([&, k = key] { set(config, k, value); });
      EXPECT_THAT(said, AllOf(HasSubstr(key), HasSubstr("'" + value + "'"), HasSubstr("expected"))) << key << value;
    }
}

TEST(Key, ValuesInDocumentsAndExperimentsRoundTrip) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> used = {
      {"model", {"mlp:256,256", "mlp:100,50", "mlp:32", "linear", "lenet5", "resnet9", "snn:5"}},
      {"schedule", {"constant", "cosine", "step:30,0.1"}},
      {"precision",
       {"float32", "float64", "bf16", "weights=int8,error=q4.12:stochastic", "weights=int8:stochastic",
        "weights=int4:stochastic", "weights=int8:stochastic,activations=int8,error=e5m2:tensor",
        "weights=int16:stochastic,activations=int8,error=int8:stochastic",
        "weights=int3:stochastic,activations=int8,error=int8:stochastic"}},
      {"analog",
       {"none", "pcm", "soft-bounds", "soft-bounds:noise=0,spread=1", "soft-bounds:noise=4,spread=1",
        "constant-step:imbalance=0", "constant-step:imbalance=0.02", "soft-bounds:noise=2,imbalance=0.1"}},
      {"analog-real", {"none", "forward,backward,update", "forward,backward,update,write"}},
      {"analog-read", {"", "dac-bits=8,adc-bits=0"}},
      {"analog-responsibility", {"auto", "exact", "summed", "serial"}}};
  for (const auto& [key, texts] : used)
    for (const std::string& text : texts) {
      Config config;
      set(config, key, text);
      EXPECT_EQ(find_key(key).get(config), text) << key;
    }
}

TEST(Key, ErrorsSuggestTheNearestName) {
  Config config;
  EXPECT_THAT(refusal([&] { set(config, "lerning-rate", "1"); }),
              AllOf(HasSubstr("unknown key 'lerning-rate'"), HasSubstr("did you mean 'learning-rate'")));
  EXPECT_THAT(refusal([&] { set(config, "activation", "rulu"); }), HasSubstr("did you mean 'relu'"));
  EXPECT_THAT(refusal([&] { set(config, "route", "bb"); }), HasSubstr("did you mean 'bp'"));
  EXPECT_THAT(refusal([&] { set(config, "modulation", "grape"); }), HasSubstr("did you mean 'grapes'"));
  EXPECT_THAT(refusal([&] { set(config, "model", "mpl:3"); }), HasSubstr("did you mean 'mlp'"));
  EXPECT_THAT(refusal([&] { set(config, "schedule", "cosin"); }), HasSubstr("did you mean 'cosine'"));
}

TEST(Key, SynonymsAndUnderscoresAreUnderstoodInSuggestions) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"batch_size", "batch-size"}, {"batch", "batch-size"},       {"bs", "batch-size"},    {"lr", "learning-rate"},
      {"rate", "learning-rate"},    {"num_epochs", "epochs"},      {"wd", "weight-decay"},  {"eps", "epsilon"},
      {"steps", "time-steps"},      {"decay", "membrane-decay"},   {"init", "initializer"}, {"dtype", "precision"},
      {"g", "membrane-activation"}, {"truncate", "tbptt-steps"},   {"hidden", "model"},     {"optim", "optimizer"},
      {"label", "arm-name"},        {"early-stopping", "patience"}};
  for (const auto& [given, meant] : cases) {
    Config config;
    EXPECT_THAT(refusal([&, word = given] { set(config, word, "1"); }), HasSubstr("did you mean '" + meant + "'?"));
  }
  std::set<std::string> words;
  for (const Key& key : keys()) words.insert(key.name);
  for (const Key& key : keys())
    for (const std::string& synonym : key.synonyms) {
      EXPECT_TRUE(words.insert(synonym).second) << synonym << " of " << key.name << " has another meaning too";
      EXPECT_EQ(standard_name(synonym), key.name);
    }
}

/// The steps to add a key, for each role that a key can have.
TEST(Key, ANewKeyNeedsOnlyARowInTheTable) {
  for (const Scope& scope :
       {scope::examples, scope::start, scope::learning, scope::rule, scope::comparison, scope::machine}) {
    const AddedKey added(
        key("margin, border", scope, "a key of this test", at_least(1), &train::Options::checkpoint_every));
    Config config, other;
    set(config, "margin", "3");
    EXPECT_EQ(config.training.checkpoint_every, 3);
    EXPECT_EQ(refusal([&] { set(other, "margin", "0"); }), "margin = '0': expected WHOLE NUMBER >= 1");
    EXPECT_THAT(refusal([&] { set(other, "border", "3"); }), HasSubstr("did you mean 'margin'?"));

    read_toml_text(other, "margin = 3", "new.toml");
    EXPECT_EQ(to_toml(other), to_toml(config));
    EXPECT_THAT(to_toml(with_arm(config, "grapes")), HasSubstr("\nmargin = 3\n")) << "the record of a run has it";

    EXPECT_EQ(pairing(config, "data") != pairing({}, "data"), scope.pairing);
    EXPECT_EQ(lasting(config) == lasting({}), scope.resume);
    const auto arm = [&] { read_toml_text(other, "[arm.wide]\nmargin = 4", "new.toml"); };
    const auto sweep = [&] { set(other, "sweep", "margin={}"); };
    if (scope.arms) {
      arm();
      EXPECT_EQ(with_arm(other, "wide").training.checkpoint_every, 4);
    } else {
      EXPECT_THAT(refusal(arm), HasSubstr("an arm cannot set 'margin'"));
    }
    if (scope.sweep) {
      sweep();
      EXPECT_EQ(at_value(other, 5).training.checkpoint_every, 5);
    } else {
      EXPECT_THAT(refusal(sweep), HasSubstr("margin cannot be swept"));
    }
  }
  EXPECT_THROW(find_key("margin"), UsageError);
}

}  // namespace
}  // namespace grapes::experiment
