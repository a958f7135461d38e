#include "grapes/nn/words.h"

#include "grapes/base/error.h"
#include "grapes/nn/network.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::nn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Do = Stage::Do;

const Signature pictures{{3, 32, 32}, 10};

std::string refused(const std::string& model, const Signature& signature = pictures) {
  try {
    Options options;
    options.model = parse_model(model);
    check(options, signature);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(Words, ParseToStages) {
  const Stages stages = stages_of_words({"conv16k5s2p0", "max2", "conv8-linear", "avg", "128"});
  ASSERT_EQ(stages.size(), 4U);
  EXPECT_EQ(stages[0], (Stage{Do::convolve, 16, 5, 2, 0, 2}));
  EXPECT_EQ(stages[1], (Stage{Do::convolve, 8, 3, 1, 1, 1, false}));
  EXPECT_EQ(stages[2].what, Do::average);
  EXPECT_EQ(stages[2].pool, 0);
  EXPECT_EQ(stages[3].what, Do::dense);
  EXPECT_EQ(stages[3].units, 128);
}

TEST(Words, ExpressEveryModelWithoutTime) {
  for (const char* name : {"mlp:5,6", "linear", "cnn:4,8", "lenet5", "resnet9", "resnet18-cifar"}) {
    Stages stages = stages_of(parse_model(name), pictures);
    stages.pop_back();  // the output layer
    const auto words = words_of(stages);
    EXPECT_EQ(to_string(model_with(stages_of_words(words), pictures)), name) << ::testing::PrintToString(words);
  }
  EXPECT_THAT(words_of(stages_of_words({"conv4", "keep", "conv8s2", "skip8s2", "add-linear", "avg2", "32-linear"})),
              ElementsAre("conv4", "keep", "conv8s2", "skip8s2", "add-linear", "avg2", "32-linear"));
}

TEST(Words, RoundTripAsAModel) {
  const std::string text = "layers:conv4,keep,conv8s2,conv8-linear,skip8s2,add,avg,16";
  EXPECT_EQ(to_string(parse_model(text)), text);
  EXPECT_EQ(parse_model(text), parse_model(to_string(parse_model(text))));
  Options options;
  options.model = parse_model(text);
  const auto model = make_network(options, pictures, 1);
  EXPECT_EQ(model->forward(at::rand({2, 3, 32, 32}), {}).sizes(), at::IntArrayRef({2, 10}));
  EXPECT_EQ(model->weights().size(), 6U);
}

TEST(Words, MayBeginWithPooling) {
  for (const char* model : {"layers:avg2,16", "layers:max", "spiking:avg2,16", "spiking:sum2,conv4"})
    EXPECT_EQ(refused(model), "nothing was refused") << model;
  Options options;
  options.model = parse_model("layers:avg");
  const at::Tensor x = at::rand({2, 3, 32, 32});
  const auto model = make_network(options, pictures, 1);
  EXPECT_TRUE(at::allclose(model->forward(x, {}), x.mean({2, 3}).mm(model->parameters()[0].value.t()), 1e-5, 1e-6));
}

TEST(Words, OfSpikingStagesParseToTheStages) {
  for (const char* word : {"128", "conv16k5s2p1d3g2", "conv4", "conv4k1", "avg2", "sum3", "max2", "delay3"}) {
    const Stages stages = spiking_stages_of_words({word});
    EXPECT_EQ(spiking_word_of(stages[0]), word);
  }
  Stage grouped = stages_of_words({"conv4"})[0];
  grouped.groups = 2;
  EXPECT_THROW(words_of({grouped}), UsageError);
}

TEST(Words, InvalidListsAreErrors) {
  EXPECT_THAT(refused("layers:conv"), HasSubstr("layer 'conv'"));
  EXPECT_THAT(refused("layers:conv4q3"), HasSubstr("layer 'conv4q3'"));
  EXPECT_THAT(refused("layers:conv4s0"), HasSubstr("layer 'conv4s0'"));
  EXPECT_THAT(refused("layers:16-relu"), HasSubstr("layer '16-relu'"));
  EXPECT_THAT(refused("layers:pool2"), HasSubstr("layer 'pool2'"));
  EXPECT_THAT(refused("layers:conv4,add"), HasSubstr("layer 'add' has no 'keep' before it"));
  EXPECT_THAT(refused("layers:conv4,keep,conv4"), HasSubstr("a 'keep' has no 'add' after it"));
  EXPECT_THAT(refused("layers:conv4,keep,conv8,add"), HasSubstr("use 'skip'"));
  EXPECT_THAT(refused("layers:conv4,keep,conv4,skip4,skip4,add"), HasSubstr("only one 'skip' may be between"));
  EXPECT_THAT(refused("layers:keep,conv8,skip8,keep,conv8,add,skip8,add"), HasSubstr("only one 'skip' may be between"));
  EXPECT_THAT(refused("layers:keep,conv4,keep,conv4,skip4,add,skip4,add"), "nothing was refused");
  EXPECT_THAT(refused("layers:conv4,16,conv4"), HasSubstr("must come before dense layers"));
  EXPECT_THAT(refused("layers:16,max2"), HasSubstr("must come before dense layers"));
  EXPECT_THAT(refused("spiking:16,avg2"), HasSubstr("must come before dense layers"));
  EXPECT_THAT(refused("layers:conv4", {{12}, 3}), HasSubstr("takes images"));
}

}  // namespace
}  // namespace grapes::nn
