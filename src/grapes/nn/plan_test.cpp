#include "grapes/nn/plan.h"

#include "grapes/nn/network.h"

#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace grapes::nn {
namespace {

/// What an action throws, or "".
template <class Action>
std::string thrown(const Action& action) {
  try {
    action();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

std::string check_refuses(const Options& options, const Signature& signature) {
  return thrown([&] { check(options, signature); });
}
std::string making_refuses(const Options& options, const Signature& signature) {
  return thrown([&] { make_network(options, signature, 1); });
}

TEST(Plan, RejectsWhatTheNetworkRejectsWithTheSameMessage) {
  const Signature images{{1, 8, 8}, 10}, vectors{{64}, 10};
  struct Case {
    std::string words;
    std::function<void(Options&)> change;
    const Signature& signature;
  };
  const std::vector<Case> cases = {
      {"unknown model 'mpl'",
       [](Options& o) {
         o.model = {"mpl", {3}};
       },
       images},
      {"every layer must have at least one unit",
       [](Options& o) {
         o.model = {"mlp", {3, 0}};
       },
       images},
      {"device cuda:77 is not available", [](Options& o) { o.device = "cuda:77"; }, images},
      {"unknown route 'bpp'", [](Options& o) { o.rule.route = "bpp"; }, images},
      {"unknown activation 'rellu'", [](Options& o) { o.activation = "rellu"; }, images},
      {"dropout must be", [](Options& o) { o.dropout = 1; }, images},
      {"bf16 and number formats exclude each other",
       [](Options& o) {
         o.precision = parse_precision("weights=int8");
         o.precision.bf16 = true;
       },
       images},
      {"takes images of shape [channels, rows, columns]; got examples of shape [64]",
       [](Options& o) { o.model = parse_model("cnn:2"); }, vectors},
      {"a map of 1 × 1 is smaller than a pooling window of 2 × 2",
       [](Options& o) { o.model = parse_model("cnn:2,2,2,2"); }, images},
      {"a map of 4 × 4 is smaller than a kernel of 5 × 5", [](Options& o) { o.model = parse_model("lenet5"); }, images},
      {"unknown initializer 'x'", [](Options& o) { o.init = "x"; }, images},
      {"unknown initializer 'y'", [](Options& o) { o.feedback_init = "y"; }, images},
      {"unknown device 'rram'", [](Options& o) { o.analog.device = {"rram"}; }, images},
      {"crossbar: pulses must be 1 to 32; got 0",
       [](Options& o) {
         o.analog.device = {"pcm"};
         o.analog.pulses = 0;
       },
       images},
      {"converter: output_noise must be at least 0",
       [](Options& o) {
         o.analog.device = {"pcm"};
         o.analog.read.output_noise = -1;
       },
       images},
      {"unknown neuron 'lief'",
       [](Options& o) {
         o.model = parse_model("snn:3");
         o.spiking.neuron = "lief";
       },
       images},
      {"surrogate_width must be above 0",
       [](Options& o) {
         o.model = parse_model("snn:3");
         o.spiking.surrogate_width = 0;
       },
       images},
      {"unknown encoder 'rates'",
       [](Options& o) {
         o.model = parse_model("snn:3");
         o.encoding.encoder = "rates";
       },
       images},
      {"unknown readout 'mean'",
       [](Options& o) {
         o.model = parse_model("snn:3");
         o.spiking.readout = "mean";
       },
       images}};
  for (const Case& one : cases) {
    Options options;
    one.change(options);
    const std::string words = check_refuses(options, one.signature);
    EXPECT_THAT(words, testing::HasSubstr(one.words));
    EXPECT_EQ(making_refuses(options, one.signature), words);
  }
}

TEST(Plan, AgreesWithTheNetworkOnEveryRowOfTheTables) {
  int possible = 0, impossible = 0;
  for (const ModelRow& model : models())
    for (const credit::Route& route : credit::routes())
      for (const Signature& signature : {Signature{{1, 16, 16}, 3}, Signature{{5}, 3, true}})
        for (const char* device : {"none", "pcm"}) {
          // They have millions of weights; the test of sizes below plans them.
          if (model.name.starts_with("resnet")) continue;
          Options options;
          options.model = parse_model(model.name + (model.takes_widths ? ":3" : ""));
          options.rule.route = route.name;
          options.analog.device = analog::parse_device(device);
          const std::string words = check_refuses(options, signature);
          EXPECT_EQ(making_refuses(options, signature), words) << model.name << " " << route.name;
          ++(words.empty() ? possible : impossible);
        }
  EXPECT_GT(possible, 10);
  EXPECT_GT(impossible, 10);
}

TEST(Plan, AllocatesNoWeights) {
  Options options;
  options.model = parse_model("mlp:1000000,1000000,1000000");  // 8 TB
  EXPECT_NO_THROW(check(options, {{1, 28, 28}, 10}));
}

TEST(Plan, HasTheSizesOfEveryStage) {
  Options options;
  options.model = parse_model("resnet9");
  const Signature signature{{3, 32, 32}, 10};
  const Stages stages = stages_of(options.model, signature);
  const Plan of = plan(options, stages, signature);
  ASSERT_EQ(of.stages.size(), stages.size());
  EXPECT_EQ(of.stages[0].in, (Map{3, 32, 32}));
  EXPECT_EQ(of.stages[1].in, (Map{64, 32, 32}));
  EXPECT_EQ(of.stages[1].before_pooling, (Map{128, 32, 32}));
  EXPECT_EQ(of.stages[1].out, (Map{128, 16, 16}));
  EXPECT_EQ(of.stages.back().in, (Map{512}));
  EXPECT_EQ(of.stages.back().out, (Map{10}));

  // A shortcut changes the stored map, and not the one that the next stage takes.
  options.model = parse_model("resnet18-cifar");
  const Stages residual = stages_of(options.model, signature);
  const Plan second = plan(options, residual, signature);
  for (std::size_t i = 0; i < residual.size(); ++i)
    if (residual[i].what == Stage::Do::shortcut) {
      EXPECT_EQ(second.stages[i].out, second.stages[i - 1].out);
      EXPECT_EQ(second.stages[i + 1].in, second.stages[i - 1].out);
      EXPECT_EQ(second.stages[i].in, second.stages[i - 2].in);
    }
}

}  // namespace
}  // namespace grapes::nn
