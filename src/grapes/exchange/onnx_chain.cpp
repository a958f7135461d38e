#include "grapes/exchange/onnx_chain.h"

#include "grapes/base/error.h"
#include "grapes/exchange/onnx_node.h"
#include "grapes/kernels/normalization.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace grapes::exchange {
namespace {

/// Follows the values of a graph from its input to its output.
class ChainReader {
 public:
  ChainReader(const onnx::Graph& graph, const std::string& file) : nodes_(graph, file) {
    const onnx::Value& input = nodes_.input();
    if (input.shape.size() < 2)
      nodes_.fail("its input '" + input.name + "' has the shape " + onnx::shape_text(input.shape) +
                  "; expected a batch of examples, [batch, ...]");
    chain_.input.shape.assign(input.shape.begin() + 1, input.shape.end());
    walk(input.name, nullptr);
    finish();
  }
  OnnxChain take() { return std::move(chain_); }

 private:
  using Node = onnx::Node;
  using Do = nn::Stage::Do;

  OnnxNodes nodes_;
  OnnxChain chain_;
  std::map<std::size_t, std::pair<std::string, const Node*>> activations_;  // stage -> name and its node
  std::optional<std::size_t> open_;  // the stage that an activation now belongs to
  const Node* rounding_ = nullptr;   // a Quant of which no layer has taken the value yet
  const Node* last_ = nullptr;       // softmax or the scale of the targets, after which nothing may come
  int depth_ = 0;                    // of branches in branches

  /// Adds stages from a value to the output of the graph, or to the node `until`. @return the value there
  std::string walk(std::string value, const Node* until) {
    while (true) {
      if (value == nodes_.output()) {
        if (until != nullptr) nodes_.fail(*until, "one of its inputs is also the output of the graph");
        return value;
      }
      const std::vector<const Node*>& users = nodes_.users(value);
      if (users.size() == 2)
        value = residual(value, users);
      else if (users.size() == 1 && users[0] == until)
        return value;
      else if (users.size() == 1)
        value = take(*users[0], value);
      else
        nodes_.fail(
            fmt::format("the value '{}' is used by {} nodes; expected a chain of layers, or two branches that "
                        "meet in an Add",
                        value, users.size()));
    }
  }

  /// A branch of nothing but a convolution and its normalization, up to a sum.
  struct Shortcut {
    std::vector<const Node*> nodes;
    const Node* sum;
  };
  std::optional<Shortcut> shortcut(const Node* node) const {
    Shortcut branch{{}, nullptr};
    int convolutions = 0;
    while (!(node->type == "Add" && nodes_.is_sum(*node))) {
      convolutions += node->type == "Conv" ? 1 : 0;
      const bool fits = node->type == "Conv" || node->type == "BatchNormalization" || nodes_.rounds(*node);
      const std::vector<const Node*>& users = nodes_.users(node->outputs.at(0));
      if (!fits || convolutions > 1 || users.size() != 1) return std::nullopt;
      branch.nodes.push_back(node);
      node = users[0];
    }
    branch.sum = node;
    return branch;
  }

  std::string residual(const std::string& value, const std::vector<const Node*>& users) {
    constexpr int deepest = 100;
    std::size_t side = 2;
    std::optional<Shortcut> way;
    for (std::size_t i = 0; i < 2; ++i)
      if (auto found = shortcut(users[i]); found && (!way || found->nodes.size() < way->nodes.size()))
        side = i, way = std::move(found);
    if (!way)
      nodes_.fail(*users[0],
                  "begins two branches; expected that one of them leads to an Add directly, or through a single Conv");
    if (depth_ == deepest) nodes_.fail(*users[0], fmt::format("begins branches within {} others", deepest));
    end_rounding();
    const Node* main = users[1 - side];
    begin(Do::keep);
    open_.reset();
    ++depth_;
    if (main != way->sum) walk(take(*main, value), way->sum);
    --depth_;
    end_rounding();
    open_.reset();
    std::string kept = value;
    for (const Node* node : way->nodes) kept = take(*node, kept, true);
    end_rounding();
    begin(Do::add).activates = false;
    open_ = chain_.stages.size() - 1;
    return nodes_.out(*way->sum);
  }

  /// Refuses a Quant of which no layer has taken the value.
  void end_rounding() const {
    if (rounding_ != nullptr)
      nodes_.fail(*rounding_,
                  "rounds a value that is not the input of a Gemm, MatMul or Conv; Grapes rounds only those");
  }

  nn::Stage& begin(Do what) { return chain_.stages.emplace_back(nn::Stage{what}); }

  /// Adds what a node does to the chain. @return the value that it gives
  std::string take(const Node& node, const std::string& value, bool aside = false) {
    if (last_ != nullptr) nodes_.fail(*last_, "must be the last node; after it comes " + nodes_.name(node));
    const std::string& type = node.type;
    // The maximum of rounded values is the rounded maximum.
    static const std::set<std::string> keep_rounding = {"Gemm",    "MatMul",  "Conv",          "Flatten",  "Reshape",
                                                        "Squeeze", "MaxPool", "GlobalMaxPool", "ReduceMax"};
    if (!keep_rounding.contains(type)) end_rounding();
    const bool arithmetic = type == "Add" || type == "Sub" || type == "Mul" || type == "Div";
    if (!arithmetic) nodes_.require_first(node, value);
    if (nodes_.rounds(node)) {
      rounding_ = &node;
    } else if (!node.domain.empty()) {
      nodes_.refuse(node);
    } else if (type == "Gemm" || type == "MatMul") {
      nn::Stage stage{Do::dense};
      stage.drops = true;
      add(stage, nodes_.dense(node));
    } else if (type == "Conv") {
      convolution(node, aside);
    } else if (type == "BatchNormalization") {
      normalization(node);
    } else if (type == "MaxPool" || type == "AveragePool") {
      pooling(type == "MaxPool" ? Do::max_pool : Do::average, nodes_.window(node));
    } else if (type == "GlobalMaxPool" || type == "GlobalAveragePool") {
      pooling(type == "GlobalMaxPool" ? Do::max_pool : Do::average, 0);
    } else if (type == "ReduceMean" || type == "ReduceMax") {
      nodes_.require_map_axes(node);
      pooling(type == "ReduceMax" ? Do::max_pool : Do::average, 0);
    } else if (type == "Flatten" || type == "Reshape" || type == "Squeeze") {
      nodes_.require_flat(node);
    } else if (type == "Softmax" || type == "LogSoftmax") {
      if (nodes_.integer(node, "axis", -1) != 1 && nodes_.integer(node, "axis", -1) != -1)
        nodes_.fail(node, "must be over the axis 1, the outputs");
      chain_.output = "softmax";
      last_ = &node;
    } else if (arithmetic) {
      return affine(node, value);
    } else if (const std::string name = nodes_.activation(node); !name.empty()) {
      activate(node, name);
    } else {
      nodes_.refuse(node);
    }
    return nodes_.out(node);
  }

  void add(nn::Stage stage, OnnxLayer layer) {
    stage.units = layer.units();
    stage.activates = false;
    chain_.stages.push_back(stage);
    open_ = chain_.stages.size() - 1;
    if (rounding_ != nullptr) layer.inputs = nodes_.format(*rounding_);
    rounding_ = nullptr;
    chain_.layers.push_back(std::move(layer));
  }

  void convolution(const Node& node, bool aside) {
    OnnxConvolution all = nodes_.convolution(node);
    nn::Stage stage{aside ? Do::shortcut : Do::convolve};
    stage.kernel = all.layer.weight.size(2);
    stage.stride = all.stride;
    stage.padding = all.padding;
    add(stage, std::move(all.layer));
  }

  /// The layer whose output a node may still change, before its activation.
  OnnxLayer& open_layer(const Node& node) {
    if (!open_ || !chain_.stages[*open_].is_layer() || chain_.layers.empty())
      nodes_.fail(node, "must come directly after a layer with weights, before its activation");
    return chain_.layers.back();
  }

  void normalization(const Node& node) {
    OnnxLayer& layer = open_layer(node);
    if (chain_.stages[*open_].pool > 1) nodes_.fail(node, "must come before the pooling");
    if (layer.scale.defined()) nodes_.fail(node, "is the second normalization of one layer");
    if (nodes_.integer(node, "training_mode", 0) != 0) nodes_.fail(node, "is in training mode");
    const double epsilon = nodes_.real(node, "epsilon", 1e-5);
    std::size_t input = 0;
    for (at::Tensor* part : {&layer.scale, &layer.shift, &layer.mean, &layer.variance})
      *part = nodes_.per_unit(node, nodes_.constant(node, ++input), layer.units(), 1);
    // ε of Grapes is 1e-5; only the sum of ε and the variance counts.
    layer.variance = layer.variance + (epsilon - static_cast<double>(static_cast<float>(kernels::norm_epsilon)));
    if (layer.bias.defined()) {
      layer.mean = layer.mean - layer.bias;
      layer.bias = at::Tensor();
    }
    if (chain_.stages[*open_].what == Do::dense) layer.fold();
  }

  void pooling(Do what, std::int64_t side) {
    nn::Stages& stages = chain_.stages;
    const bool joins = what == Do::max_pool && side > 1 && !stages.empty() && stages.back().what == Do::convolve &&
                       stages.back().pool == 1;
    if (joins) {
      stages.back().pool = side;  // every activation is monotonic, so it may also come after the pooling
      return;
    }
    open_.reset();
    begin(what).pool = side;
  }

  void activate(const Node& node, const std::string& name) {
    if (!open_) nodes_.fail(node, "must come after a layer or a sum");
    chain_.stages[*open_].activates = true;
    activations_[*open_] = {name, &node};
    open_.reset();
  }

  /// x + c, x - c, x · c, x / c: scales inputs, is part of a layer or an activation, or scales the targets.
  std::string affine(const Node& node, const std::string& value) {
    const at::Tensor c = nodes_.other_operand(node, value);
    const bool sum = node.type == "Add" || node.type == "Sub", inverse = node.type == "Sub" || node.type == "Div";
    if (chain_.stages.empty()) {
      at::Tensor constant = c.to(at::kDouble);
      if (inverse) constant = sum ? -constant : constant.reciprocal();
      chain_.input.steps.push_back({nodes_.where(node), !sum, constant});
      return nodes_.out(node);
    }
    if (const Node* tanh = nodes_.scaled_tanh(node, c)) {
      activate(*tanh, "scaled_tanh");
      return nodes_.out(*nodes_.users(tanh->outputs[0])[0]);
    }
    if (node.type == "Mul" && nodes_.is_last_scale(node)) {
      const Node& shift = *nodes_.users(node.outputs[0])[0];
      const auto of_outputs = [&](const Node& one, const at::Tensor& numbers) {
        return nodes_.per_unit(one, numbers, chain_.stages.back().units, 2).to(at::kDouble);
      };
      chain_.target_deviation = of_outputs(node, c);
      chain_.target_mean = of_outputs(shift, nodes_.other_operand(shift, node.outputs[0]));
      last_ = &shift;
      return nodes_.out(shift);
    }
    OnnxLayer& layer = open_layer(node);
    layer.fold();
    const at::Tensor each = nodes_.per_unit(node, c, layer.units(), layer.weight.dim());
    if (sum) {
      layer.add(inverse ? -each : each);
    } else {
      if (each.lt(0).any().item<bool>() && chain_.stages[*open_].pool > 1)
        nodes_.fail(node, "has a negative factor after a pooling");
      layer.multiply(inverse ? each.reciprocal() : each);
    }
    return nodes_.out(node);
  }

  /// Makes the last stage the output layer, and checks what all stages share.
  void finish() {
    end_rounding();
    nn::Stages& stages = chain_.stages;
    if (chain_.layers.empty()) nodes_.fail("it has no layer with weights; expected a Gemm or MatMul as the last layer");
    if (stages.back().what != Do::dense)
      throw DataError(
          chain_.layers.back().where +
          " is the last layer with weights; expected a Gemm or MatMul, and only an output function after it");
    if (stages.back().activates) {
      if (!chain_.output.empty()) nodes_.fail(*last_, "follows an activation of the output layer");
      chain_.output = activations_.at(stages.size() - 1).first;
      activations_.erase(stages.size() - 1);
    }
    stages.pop_back();
    for (const auto& [stage, one] : activations_) {
      if (chain_.activation.empty()) chain_.activation = one.first;
      if (one.first != chain_.activation)
        nodes_.fail(*one.second, "is the activation " + one.first + ", but that of an earlier layer is " +
                                     chain_.activation + "; a model of Grapes has one for all hidden layers");
    }
    const OnnxLayer& first = chain_.layers[0];
    for (const OnnxLayer& layer : chain_.layers)
      if (layer.weights != first.weights || layer.inputs != first.inputs)
        throw DataError(layer.where + " rounds its weights to " + to_string(layer.weights) + " and its inputs to " +
                        to_string(layer.inputs) + ", but the first layer to " + to_string(first.weights) + " and " +
                        to_string(first.inputs) + "; a model of Grapes has one precision");
  }
};

}  // namespace

OnnxChain chain_of(const onnx::Graph& graph, const std::string& file) { return ChainReader(graph, file).take(); }

}  // namespace grapes::exchange
