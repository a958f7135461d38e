#include "grapes/exchange/onnx_chain.h"

#include "grapes/base/error.h"
#include "grapes/exchange/onnx_node.h"
#include "grapes/kernels/loops.h"
#include "grapes/kernels/normalization.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
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
    chain_.input.assign(input.shape.begin() + 1, input.shape.end());
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
  kernels::NumberFormat rounded_;    // of the value that the next layer takes
  const Node* last_ = nullptr;       // softmax or the scale of the targets, after which nothing may come

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
    std::size_t side = 2;
    std::optional<Shortcut> way;
    for (std::size_t i = 0; i < 2; ++i)
      if (auto found = shortcut(users[i]); found && (!way || found->nodes.size() < way->nodes.size()))
        side = i, way = std::move(found);
    if (!way)
      nodes_.fail(*users[0], "begins one of two branches, of which neither is a value or a Conv that an Add takes");
    const Node* main = users[1 - side];
    begin(Do::keep);
    open_.reset();
    if (main != way->sum) walk(take(*main, value), way->sum);
    std::string kept = value;
    if (!way->nodes.empty()) {
      for (const Node* node : way->nodes) kept = take(*node, kept, true);
    }
    nn::Stage& sum = begin(Do::add);
    sum.activates = false;
    open_ = chain_.stages.size() - 1;
    return nodes_.out(*way->sum);
  }

  nn::Stage& begin(Do what) { return chain_.stages.emplace_back(nn::Stage{what}); }

  /// Adds what a node does to the chain. @return the value that it gives
  std::string take(const Node& node, const std::string& value, bool aside = false) {
    if (last_ != nullptr) nodes_.fail(*last_, "must be the last node; after it comes " + nodes_.name(node));
    const std::string& type = node.type;
    if (nodes_.rounds(node)) {
      rounded_ = nodes_.format(node);
    } else if (!node.domain.empty()) {
      nodes_.refuse(node);
    } else if (type == "Gemm" || type == "MatMul") {
      dense(node, value);
    } else if (type == "Conv") {
      convolution(node, value, aside);
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
    } else if (type == "Add" || type == "Sub" || type == "Mul" || type == "Div") {
      return affine(node, value);
    } else if (const std::string name = nodes_.activation(node); !name.empty()) {
      activate(node, name);
    } else {
      nodes_.refuse(node);
    }
    return nodes_.out(node);
  }

  OnnxLayer& add_layer(const Node& node, nn::Stage stage, at::Tensor weight, at::Tensor bias) {
    stage.units = weight.size(0);
    stage.activates = false;
    chain_.stages.push_back(stage);
    open_ = chain_.stages.size() - 1;
    OnnxLayer layer{nodes_.name(node), std::move(weight), std::move(bias)};
    layer.weights = nodes_.weight_format(node.inputs.at(1));
    layer.activations = std::exchange(rounded_, {});
    return chain_.layers.emplace_back(std::move(layer));
  }

  void dense(const Node& node, const std::string& value) {
    auto [weight, bias] = nodes_.dense(node, value);
    nn::Stage stage{Do::dense};
    stage.drops = true;
    add_layer(node, stage, std::move(weight), std::move(bias));
  }

  void convolution(const Node& node, const std::string& value, bool aside) {
    const OnnxConvolution all = nodes_.convolution(node, value);
    nn::Stage stage{aside ? Do::shortcut : Do::convolve};
    stage.kernel = all.weight.size(2);
    stage.stride = all.stride;
    stage.padding = all.padding;
    add_layer(node, stage, all.weight, all.bias);
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
    const double epsilon = nodes_.real(node, "epsilon", 1e-5);
    layer.scale = nodes_.constant(node, 1);
    layer.shift = nodes_.constant(node, 2);
    layer.mean = nodes_.constant(node, 3);
    // ε of Grapes is 1e-5; only the sum of ε and the variance counts.
    layer.variance =
        nodes_.constant(node, 4) + (epsilon - static_cast<double>(static_cast<float>(kernels::norm_epsilon)));
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
      at::Tensor &shift = chain_.normalization.shift, &scale = chain_.normalization.scale;
      if (sum) {
        const at::Tensor change = (inverse ? c : -c) / (scale.defined() ? scale : at::ones({}));
        shift = shift.defined() ? shift + change : change;
      } else {
        const at::Tensor factor = inverse ? c.reciprocal() : c;
        scale = scale.defined() ? scale * factor : factor;
      }
      return nodes_.out(node);
    }
    if (const Node* tanh = nodes_.scaled_tanh(node, c)) {
      activate(*tanh, "scaled_tanh");
      return nodes_.out(*nodes_.users(tanh->outputs[0])[0]);
    }
    if (node.type == "Mul" && nodes_.is_last_scale(node)) {
      const Node& shift = *nodes_.users(node.outputs[0])[0];
      const std::int64_t outputs = chain_.stages.back().units;
      chain_.target_deviation = c.to(at::kDouble).flatten().expand({outputs}).contiguous();
      chain_.target_mean =
          nodes_.other_operand(shift, node.outputs[0]).to(at::kDouble).flatten().expand({outputs}).contiguous();
      last_ = &shift;
      return nodes_.out(shift);
    }
    OnnxLayer& layer = open_layer(node);
    if (layer.scale.defined()) layer.fold();
    const std::int64_t units = layer.weight.size(0);
    if (c.numel() != 1 && (c.numel() != units || !nodes_.is_per_unit(c, layer.weight.dim())))
      nodes_.fail(node, fmt::format("its constant must have one number for each of the {} units; it has the shape [{}]",
                                    units, fmt::join(c.sizes(), ", ")));
    const at::Tensor each = c.flatten().expand({units});
    const at::Tensor bias = layer.bias.defined() ? layer.bias : at::zeros({units}, layer.weight.options());
    if (sum) {
      layer.bias = inverse ? bias - each : bias + each;
    } else {
      if (layer.weights) nodes_.fail(node, "scales a layer whose weights are rounded, which Grapes does not support");
      std::vector<std::int64_t> shape(static_cast<std::size_t>(layer.weight.dim()), 1);
      shape[0] = units;
      const at::Tensor factor = inverse ? each.reciprocal() : each;
      if (factor.lt(0).any().item<bool>() && chain_.stages[*open_].pool > 1)
        nodes_.fail(node, "has a negative factor after a pooling");
      layer.weight = layer.weight * factor.reshape(shape);
      if (layer.bias.defined()) layer.bias = layer.bias * factor;
    }
    return nodes_.out(node);
  }

  /// Makes the last stage the output layer, and checks what all stages share.
  void finish() {
    nn::Stages& stages = chain_.stages;
    if (stages.empty() || stages.back().what != Do::dense)
      nodes_.fail("the last layer must be a Gemm or MatMul" +
                  (chain_.layers.empty() ? std::string() : "; the last with weights is " + chain_.layers.back().node));
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
    for (const OnnxLayer& layer : chain_.layers)
      if (layer.weights != chain_.layers[0].weights || layer.activations != chain_.layers[0].activations)
        nodes_.fail("node " + layer.node + " rounds its weights to " + to_string(layer.weights) +
                    " and its inputs to " + to_string(layer.activations) + ", but the first layer to " +
                    to_string(chain_.layers[0].weights) + " and " + to_string(chain_.layers[0].activations) +
                    "; a model of Grapes has one precision");
  }
};

}  // namespace

void OnnxLayer::fold() {
  if (!scale.defined()) return;
  const at::Tensor factor = scale / (variance + kernels::norm_epsilon).sqrt();
  std::vector<std::int64_t> shape(static_cast<std::size_t>(weight.dim()), 1);
  shape[0] = weight.size(0);
  weight = weight * factor.reshape(shape);
  bias = shift - mean * factor;
  scale = shift = mean = variance = at::Tensor();
}

OnnxChain chain_of(const onnx::Graph& graph, const std::string& file) { return ChainReader(graph, file).take(); }

}  // namespace grapes::exchange
