#include "grapes/exchange/onnx.h"

#include "grapes/base/error.h"
#include "grapes/exchange/weights.h"
#include "grapes/experiment/toml.h"
#include "grapes/train/state.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::exchange {
namespace {

using testing::HasSubstr;

experiment::Loaded network_of(const std::string& model, const std::string& precision = "float32") {
  experiment::Loaded loaded{
      {}, numbered_classes({2, 16, 16}, 3), {}, nullptr, nn::Criterion("auto", "auto", nn::TargetKind::classes)};
  nn::Options& network = loaded.config.network;
  network.model = nn::parse_model(model);
  network.bias = true;
  network.precision = nn::parse_precision(precision);
  loaded.config.training.seed = 4;
  loaded.normalization.shift = at::full({2, 1, 1}, 0.25);
  loaded.normalization.scale = at::tensor({1.5F, 3.0F}).view({2, 1, 1});
  return loaded;
}

/// Draws the weights, and the numbers that are constant in a new network.
void draw(experiment::Loaded& loaded) {
  loaded.model = nn::make_network(loaded.config.network, train::signature_of(loaded.info), 4);
  for (const auto& list : {loaded.model->parameters(), loaded.model->buffers()})
    for (const nn::Named& one : list)
      if (one.value.dim() == 1) one.value.detach().copy_(at::rand(one.value.sizes()) + 0.5);
}

void expect_same(const nn::Network& one, const nn::Network& other) {
  for (const auto& [first, second] :
       {std::pair{one.parameters(), other.parameters()}, std::pair{one.buffers(), other.buffers()}}) {
    ASSERT_EQ(first.size(), second.size());
    for (std::size_t i = 0; i < first.size(); ++i)
      EXPECT_TRUE(at::equal(first[i].value, second[i].value)) << first[i].name;
  }
}

/// @param act  changes a model before it is read @return the message
template <class Act>
std::string refused(const std::string& name, const Act& act) {
  experiment::Loaded loaded = network_of(name);
  draw(loaded);
  onnx::Model model = to_onnx(loaded);
  act(model.graph);
  try {
    from_onnx(model, config_of(model, "x.onnx"), nullptr, "x.onnx");
  } catch (const DataError& error) {
    return error.what();
  }
  return "nothing was refused";
}
onnx::Node& node(onnx::Graph& graph, const std::string& type) {
  for (onnx::Node& one : graph.nodes)
    if (one.type == type) return one;
  throw std::out_of_range(type);
}

TEST(Onnx, ThereAndBackIsTheSame) {
  for (const char* model : {"linear", "mlp:8,6", "cnn:4,6", "lenet5", "layers:max2,16", "resnet18-cifar",
                            "layers:conv4k5s2,keep,conv4,add,avg2,12-linear"})
    for (const char* activation : {"relu", "leaky_relu", "tanh", "sigmoid", "scaled_tanh"}) {
      SCOPED_TRACE(std::string(model) + " " + activation);
      experiment::Loaded loaded = network_of(model);
      loaded.config.network.activation = activation;
      loaded.config.training.epochs = 7;
      draw(loaded);
      const onnx::Model graph = to_onnx(loaded);
      const Import back = from_onnx(graph, config_of(graph, "x.onnx"), nullptr, "x.onnx");
      EXPECT_EQ(experiment::to_toml(back.config), experiment::to_toml(loaded.config));
      EXPECT_EQ(experiment::to_json(back.info), experiment::to_json(loaded.info));
      EXPECT_TRUE(at::equal(back.normalization.shift, loaded.normalization.shift));
      EXPECT_TRUE(at::equal(back.normalization.scale, loaded.normalization.scale));
      expect_same(*back.model, *loaded.model);
      if (std::string(model) == "resnet18-cifar") break;  // large
    }
}

TEST(Onnx, NormalizationsComeBack) {
  for (const auto& [norm, bias] : {std::pair{nn::Norm::batch, false}, std::pair{nn::Norm::tensor, false},
                                   std::pair{nn::Norm::batch, true}, std::pair{nn::Norm::tensor, true}})
    for (const char* model : {"cnn:4,6", "layers:conv4,keep,conv6s2,conv6-linear,skip6s2,add,avg"}) {
      experiment::Loaded loaded = network_of(model, "weights=int4,activations=q4.4");
      loaded.config.network.norm = norm;
      loaded.config.network.bias = bias;
      draw(loaded);
      const onnx::Model graph = to_onnx(loaded);
      const Import back = from_onnx(graph, config_of(graph, "x.onnx"), nullptr, "x.onnx");
      EXPECT_EQ(experiment::to_toml(back.config), experiment::to_toml(loaded.config));
      expect_same(*back.model, *loaded.model);
    }
}

TEST(Onnx, NumberFormatsComeBack) {
  for (const char* precision :
       {"weights=q3.5", "weights=int4,activations=q4.4,error=e5m2:tensor", "weights=int6:channel,master=float32",
        "activations=q2.6", "weights=e4m3,activations=bf16"}) {
    experiment::Loaded loaded = network_of("cnn:4,6", precision);
    draw(loaded);
    onnx::Model graph = to_onnx(loaded);
    const Import back = from_onnx(graph, config_of(graph, "x.onnx"), nullptr, "x.onnx");
    EXPECT_EQ(nn::to_string(back.config.network.precision), precision);
    expect_same(*back.model, *loaded.model);
    // Without the metadata, the nodes alone tell the formats of weights and activations.
    graph.metadata.clear();
    const Import bare = from_onnx(graph, {}, nullptr, "x.onnx");
    EXPECT_EQ(bare.config.network.precision.weights, loaded.config.network.precision.weights) << precision;
    EXPECT_EQ(bare.config.network.precision.activations, loaded.config.network.precision.activations) << precision;
    const at::Tensor x = at::rand({3, 2, 16, 16});
    EXPECT_TRUE(at::equal(bare.model->forward(x, {}), loaded.model->forward(x, {}))) << precision;
  }
}

TEST(Onnx, TheScaleOfTargetsComesBack) {
  experiment::Loaded loaded = network_of("mlp:5");
  loaded.info.problem = data::ProblemKind::regression;
  loaded.info.target_mean = {1000.1, -3, 0};
  loaded.info.target_deviation = {20, 0.1, 1};
  loaded.criterion = train::criterion_of(loaded.config.network, loaded.config.training, loaded.info);
  draw(loaded);
  onnx::Model graph = to_onnx(loaded);
  EXPECT_EQ(from_onnx(graph, {}, nullptr, "x.onnx").info.target_mean, loaded.info.target_mean);
  graph.metadata.clear();
  const data::DatasetInfo info = from_onnx(graph, {}, nullptr, "x.onnx").info;
  EXPECT_EQ(info.problem, data::ProblemKind::regression);
  EXPECT_FLOAT_EQ(static_cast<float>(info.target_mean.at(0)), 1000.1F);
  EXPECT_FLOAT_EQ(static_cast<float>(info.target_deviation.at(1)), 0.1F);
}

TEST(Onnx, WhatNoLayerComputesIsRefusedByItsNode) {
  const auto none = [](onnx::Graph&) {};
  EXPECT_EQ(refused("cnn:4", none), "nothing was refused");
  EXPECT_THAT(refused("cnn:4", [](auto& graph) { node(graph, "Relu").type = "Erf"; }),
              HasSubstr("x.onnx: node 'layers.0.relu' (Erf) is an operator that no layer of Grapes computes"));
  EXPECT_THAT(refused("cnn:4", [](auto& graph) { node(graph, "Conv").attributes["group"] = std::int64_t{2}; }),
              HasSubstr("node 'layers.0' (Conv) has 2 groups"));
  EXPECT_THAT(refused("cnn:4",
                      [](auto& graph) {
                        node(graph, "Conv").attributes["strides"] = std::vector<std::int64_t>{1, 2};
                      }),
              HasSubstr("node 'layers.0' (Conv) has strides [1, 2]"));
  EXPECT_THAT(refused("cnn:4",
                      [](auto& graph) {
                        node(graph, "MaxPool").attributes["strides"] = std::vector<std::int64_t>{1, 1};
                      }),
              HasSubstr("expected windows that do not overlap"));
  EXPECT_THAT(refused("mlp:5,4", [](auto& graph) { node(graph, "Relu").type = "Tanh"; }),
              HasSubstr("node 'layers.1.relu' (Relu) is the activation relu, but that of an earlier layer is tanh"));
  EXPECT_THAT(refused("mlp:5", [](auto& graph) { node(graph, "Gemm").inputs[1] = "other"; }),
              HasSubstr("node 'layers.0' (Gemm) takes 'other', which is not an input, a constant or an output"));
  EXPECT_THAT(refused("mlp:5",
                      [](auto& graph) {
                        graph.nodes.insert(graph.nodes.begin(), {"w", "Relu", "", {"layers.0.weight"}, {"w"}, {}});
                        node(graph, "Gemm").inputs[1] = "w";
                      }),
              HasSubstr("which is not a constant"));
  EXPECT_THAT(refused("mlp:5", [](auto& graph) { graph.outputs[0].name = "other"; }), HasSubstr("used by 0 nodes"));
  EXPECT_THAT(refused("mlp:5",
                      [](auto& graph) {
                        graph.inputs.push_back({"second", {-1, 3}});
                      }),
              HasSubstr("inputs 'input' and 'second'"));
  EXPECT_THAT(refused("mlp:5", [](auto& graph) { graph.inputs[0].shape = {-1, 2, 15, 16}; }), HasSubstr("[2, 15, 16]"));
}

}  // namespace
}  // namespace grapes::exchange
