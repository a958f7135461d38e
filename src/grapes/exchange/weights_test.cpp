#include "grapes/exchange/weights.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::exchange {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<nn::Network> model_of(const nn::Options& options) { return nn::make_network(options, {{4}, 2}, 1); }

nn::Options with_model(const std::string& name) {
  nn::Options options;
  options.model = nn::parse_model(name);
  return options;
}

train::Tensors two_layers() {
  train::Tensors content;
  content.tensors = {{"10.weight", at::ones({2, 3})}, {"9.weight", at::ones({3, 4})}, {"9.bias", at::ones({3})}};
  return content;
}

std::string refusal(const train::Tensors& content, const std::vector<std::string>& names) {
  try {
    dense_chain(content, names, "x.safetensors");
  } catch (const DataError& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(Weights, NamesAreThoseOfASequentialWithActivationsAndDropout) {
  nn::Options options = with_model("mlp:3,3");
  EXPECT_THAT(sequential_names(*model_of(options), options), ElementsAre("0", "2", "4"));
  options.dropout = 0.5;
  EXPECT_THAT(sequential_names(*model_of(options), options), ElementsAre("0", "3", "6"));
  options = with_model("snn:3");
  EXPECT_THAT(sequential_names(*model_of(options), options), ElementsAre("0", "1"));
}

TEST(Weights, AChainOfMatricesDeterminesTheModel) {
  const train::Tensors content = two_layers();
  const std::vector<std::string> names = guess_modules(content, "x.safetensors");
  EXPECT_THAT(names, ElementsAre("9", "10"));
  const DenseChain chain = dense_chain(content, names, "x.safetensors");
  EXPECT_EQ(nn::to_string(chain.model), "mlp:3");
  EXPECT_EQ(chain.inputs, 4);
  EXPECT_EQ(chain.outputs, 2);
  EXPECT_EQ(nn::to_string(dense_chain(content, {"10"}, "x.safetensors").model), "linear");
  EXPECT_TRUE(has_biases(content, names));
  EXPECT_FALSE(has_biases(content, {"10"}));
  EXPECT_THAT(refusal(content, {"9", "11"}), HasSubstr("x.safetensors: '11' has no matrix '11.weight'"));
}

TEST(Weights, WhatDoesNotFitIsListed) {
  const nn::Options options = with_model("mlp:3");
  const auto model = model_of(options);
  train::Tensors content = two_layers();
  const Match match = import_weights(content, *model, {"9", "10"});
  EXPECT_FALSE(match.whole());
  EXPECT_EQ(match.faults(), "unexpected: 9.bias");
  content.tensors.erase("9.bias");
  EXPECT_EQ(import_weights(content, *model, {"9", "10"}).faults(), "");
  content.tensors["9.weight"] = at::ones({3, 5});
  EXPECT_EQ(import_weights(content, *model, {"9", "1"}).faults(),
            "missing: 1.weight; unexpected: 10.weight; wrong shape: 9.weight is [3, 5], must be [3, 4]");
}

TEST(Weights, ClassesWithoutNamesAreNumbers) {
  const data::DatasetInfo info = numbered_classes({4}, 3);
  EXPECT_THAT(info.classes, ElementsAre("0", "1", "2"));
  EXPECT_EQ(info.outputs, 3);
}

}  // namespace
}  // namespace grapes::exchange
