#include "grapes/base/error.h"
#include "grapes/nn/network.h"
#include "grapes/nn/nn_test.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace grapes::nn {
namespace {

std::unique_ptr<Network> network(const std::string& model, bool bias, std::vector<std::int64_t> input = {3}) {
  Options options;
  options.model = parse_model(model);
  options.precision.dtype = at::kDouble;
  options.bias = bias;
  auto made = make_network(options, {std::move(input), 2}, 3);
  const at::NoGradGuard no_grad;
  at::manual_seed(1);
  for (const Named& one : made->parameters()) at::Tensor(one.value).normal_();
  return made;
}

/// Every path of a dense network, one by one: a path starts at an input or a bias and ends at an output.
std::vector<at::Tensor> by_enumeration(const Network& model) {
  struct Edge {
    std::size_t parameter;
    std::int64_t place;
  };
  const std::vector<Named> parameters = model.parameters();
  std::vector<std::size_t> weights, biases;
  for (std::size_t i = 0; i < parameters.size(); ++i) (parameters[i].value.dim() > 1 ? weights : biases).push_back(i);
  std::vector<at::Tensor> sums;
  for (const Named& one : parameters) sums.push_back(at::zeros_like(one.value.detach()));
  std::vector<Edge> path;
  const auto value = [&](const Edge& edge) { return parameters[edge.parameter].value.data_ptr<double>()[edge.place]; };
  const std::function<void(std::size_t, std::int64_t)> go = [&](std::size_t layer, std::int64_t unit) {
    if (layer == weights.size()) {
      for (std::size_t e = 0; e < path.size(); ++e) {
        double product = 1;
        for (std::size_t other = 0; other < path.size(); ++other)
          if (other != e) product *= value(path[other]) * value(path[other]);
        sums[path[e].parameter].data_ptr<double>()[path[e].place] += product;
      }
      return;
    }
    const at::Tensor& W = parameters[weights[layer]].value;
    for (std::int64_t n = 0; n < W.size(0); ++n) {
      path.push_back({weights[layer], n * W.size(1) + unit});
      go(layer + 1, n);
      path.pop_back();
    }
  };
  for (std::int64_t i = 0; i < 3; ++i) go(0, i);
  for (std::size_t layer = 0; layer < biases.size(); ++layer)
    for (std::int64_t n = 0; n < parameters[biases[layer]].value.size(0); ++n) {
      path.push_back({biases[layer], n});
      go(layer + 1, n);
      path.pop_back();
    }
  return sums;
}

TEST(Paths, SumsEqualAnEnumerationOfAllPaths) {
  for (const char* model : {"linear", "mlp:4", "mlp:4,3,5"})
    for (const bool bias : {false, true}) {
      const auto made = network(model, bias);
      const std::vector<at::Tensor> sums = made->path_sums()(), expected = by_enumeration(*made);
      ASSERT_EQ(sums.size(), expected.size());
      for (std::size_t i = 0; i < sums.size(); ++i)
        EXPECT_TRUE(at::allclose(sums[i], expected[i], 1e-12, 0)) << model << ", parameter " << i;
    }
}

TEST(Paths, AConvolutionIsADenseLayerWithSharedWeights) {
  // A 1 × 1 image and 3 × 3 kernels: only the center of a kernel is used.
  const auto small = network("layers:conv4,5", true, {3, 1, 1}), dense = network("mlp:4,5", true);
  {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < 6; ++i) {
      const at::Tensor from = small->parameters()[i].value;
      at::Tensor(dense->parameters()[i].value).copy_(i == 0 ? from.select(3, 1).select(2, 1) : from);
    }
  }
  const std::vector<at::Tensor> sums = small->path_sums()(), expected = dense->path_sums()();
  EXPECT_TRUE(at::allclose(sums[0].select(3, 1).select(2, 1), expected[0], 1e-12, 0));
  EXPECT_EQ(sums[0].select(3, 0).abs().sum().item<double>(), 0) << "on no path";
  for (std::size_t i = 1; i < 6; ++i) EXPECT_TRUE(at::allclose(sums[i], expected[i], 1e-12, 0)) << i;
}

TEST(Paths, FollowTheWeightsAndLeaveGradientsAlone) {
  const auto made = network("mlp:4", false);
  const auto sums = made->path_sums();
  const at::Tensor before = sums()[0];
  at::Tensor W = made->parameters()[1].value;
  {
    const at::NoGradGuard no_grad;
    W.mul_(2);
  }
  EXPECT_TRUE(at::allclose(sums()[0], before * 4, 1e-12, 0));
  EXPECT_FALSE(W.grad().defined());
}

TEST(Paths, NetworksWithoutPathsAreRefusedInWords) {
  const auto refused = [](Options options, const Signature& signature) {
    try {
      make_network(options, signature, 1)->path_sums();
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("nothing was refused");
  };
  Options options;
  options.model = parse_model("snn:4");
  EXPECT_THAT(refused(options, {{3}, 2}), ::testing::HasSubstr("does not support spiking networks"));
  options.model = parse_model("cnn:4");
  options.norm = Norm::batch;
  EXPECT_THAT(refused(options, {{1, 8, 8}, 2}), ::testing::HasSubstr("does not support normalization"));
  options = {};
  options.model = parse_model("mlp:4");
  options.rule.route = "kolen-pollack";
  EXPECT_THAT(refused(options, {{3}, 2}), ::testing::HasSubstr("does not support routes with learned feedback"));
}

}  // namespace
}  // namespace grapes::nn
