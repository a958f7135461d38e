#pragma once

#include "grapes/nir/graph.h"

/// Valid graphs, which tests modify.
namespace grapes::nir {

inline Array floats(Shape shape, std::vector<float> values) { return {std::move(shape), std::move(values)}; }
inline Array doubles(Shape shape, std::vector<double> values) { return {std::move(shape), std::move(values)}; }

inline Node lif(const Shape& shape) {
  const auto all = [&](double value) {
    return doubles(shape, std::vector<double>(static_cast<std::size_t>(count(shape)), value));
  };
  return {
      "LIF", {{"tau", all(0.01)}, {"r", all(1)}, {"v_leak", all(0)}, {"v_threshold", all(1)}, {"v_reset", all(0)}}, {}};
}

/// Three inputs, two neurons with recurrent connections.
inline Graph recurrent_graph() {
  Graph graph;
  graph.nodes["in"] = {"Input", {{"shape", wholes({3})}}, {}};
  graph.nodes["w"] = {"Linear", {{"weight", floats({2, 3}, {1, 2, 3, 4, 5, 6})}}, {}};
  graph.nodes["lif"] = lif({2});
  graph.nodes["back"] = {"Linear", {{"weight", floats({2, 2}, {0, -1, 0.5F, 0})}}, {}};
  graph.nodes["out"] = {"Output", {{"shape", wholes({2})}}, {}};
  graph.edges = {{"in", "w"}, {"w", "lif"}, {"lif", "back"}, {"back", "lif"}, {"lif", "out"}};
  return graph;
}

/// An image with 2 channels through a convolution, neurons, a pool and a linear layer.
inline Graph convolutional_graph() {
  Graph graph;
  graph.nodes["in"] = {"Input", {{"shape", wholes({2, 6, 5})}}, {}};
  graph.nodes["conv"] = {"Conv2d",
                         {{"input_shape", wholes({6, 5})},
                          {"weight", floats({4, 2, 3, 2}, std::vector<float>(48, 0.1F))},
                          {"bias", floats({4}, {0, 0, 0, 0})},
                          {"stride", wholes({1, 1})},
                          {"padding", wholes({1, 0})},
                          {"dilation", wholes({1, 1})},
                          {"groups", whole(1)}},
                         {}};
  graph.nodes["lif"] = lif({4, 6, 4});
  graph.nodes["pool"] = {
      "SumPool2d", {{"kernel_size", wholes({2, 2})}, {"stride", wholes({2, 2})}, {"padding", wholes({0, 0})}}, {}};
  graph.nodes["flat"] = {
      "Flatten", {{"start_dim", whole(0)}, {"end_dim", whole(-1)}, {"input_type", wholes({4, 3, 2})}}, {}};
  graph.nodes["fc"] = {
      "Affine", {{"weight", floats({1, 24}, std::vector<float>(24, 1))}, {"bias", floats({1}, {0})}}, {}};
  graph.nodes["out"] = {"Output", {{"shape", wholes({1})}}, {}};
  graph.edges = {{"in", "conv"}, {"conv", "lif"}, {"lif", "pool"}, {"pool", "flat"}, {"flat", "fc"}, {"fc", "out"}};
  return graph;
}

}  // namespace grapes::nir
