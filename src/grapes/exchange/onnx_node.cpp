#include "grapes/exchange/onnx_node.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace grapes::exchange {
namespace {

at::Tensor tensor_of_onnx(const onnx::Tensor& tensor) {
  return std::visit([&](const auto& values) { return at::tensor(values).reshape(tensor.shape); }, tensor.values);
}

const std::vector<std::string> supported_operators = {
    "Gemm",       "MatMul",      "Add",           "Sub",
    "Mul",        "Div",         "Conv",          "BatchNormalization",
    "MaxPool",    "AveragePool", "GlobalMaxPool", "GlobalAveragePool",
    "ReduceMean", "ReduceMax",   "Relu",          "LeakyRelu",
    "Tanh",       "Sigmoid",     "Flatten",       "Reshape",
    "Squeeze",    "Softmax",     "LogSoftmax",    "Identity",
    "Dropout",    "Constant"};
/// Operators with which PyTorch computes the size of the batch for a Reshape.
const std::vector<std::string> shape_operators = {"Shape", "Gather", "Unsqueeze", "Concat"};
bool is_among(const std::vector<std::string>& list, const std::string& type) {
  return std::ranges::find(list, type) != list.end();
}

}  // namespace

OnnxNodes::OnnxNodes(const onnx::Graph& graph, const std::string& file) : file_(file) {
  for (const onnx::Tensor& one : graph.initializers) {
    define(one.name);
    constants_[one.name] = tensor_of_onnx(one);
  }
  for (const onnx::Value& one : graph.inputs) {
    if (is_constant(one.name)) continue;
    if (input_ != nullptr) fail("it has the inputs '" + input_->name + "' and '" + one.name + "'; expected one");
    define(one.name);
    input_ = &one;
  }
  if (input_ == nullptr) fail("it has no input");
  for (const onnx::Node& node : graph.nodes) add(node);
  if (graph.outputs.size() != 1) fail(fmt::format("it has {} outputs; expected one", graph.outputs.size()));
  output_ = graph.outputs[0].name;
}

void OnnxNodes::define(const std::string& value) {
  if (!value.empty() && !known_.insert(value).second)
    fail("the name '" + value + "' is the name of two values; expected a name for each");
}

/// Nodes in the order in which they are computed have no cycles.
void OnnxNodes::add(const Node& node) {
  if (node.outputs.empty() || (node.inputs.empty() && node.type != "Constant")) fail(node, "has no inputs or outputs");
  const bool standard =
      node.domain.empty() && (is_among(supported_operators, node.type) || is_among(shape_operators, node.type));
  if (!standard && !rounds(node)) refuse(node);
  for (const std::string& value : node.inputs)
    if (!known_.contains(value))
      fail(node, "takes '" + value + "', which is not an input, a constant or an output of an earlier node");
  for (const std::string& value : node.outputs) define(value);
  made_by_[node.outputs[0]] = &node;
  if (node.type == "Constant") {
    add_constant(node);
  } else if (node.type == "Identity" || node.type == "Dropout") {
    if (has_input(node, 2) && constant(node, 2).ne(0).any().item<bool>()) fail(node, "is in training mode");
    same_[node.outputs[0]] = resolved(node.inputs[0]);
  } else if (rounds(node) && is_constant(resolved(node.inputs[0]))) {
    round_constant(node);
  } else if (node.type != "Shape") {  // part of the size of a Reshape
    for (const std::string& value : node.inputs) users_[resolved(value)].push_back(&node);
  }
}

void OnnxNodes::fail(const std::string& what) const { throw DataError(file_ + ": " + what); }
void OnnxNodes::fail(const Node& node, const std::string& what) const { throw DataError(where(node) + " " + what); }
std::string OnnxNodes::where(const Node& node) const { return file_ + ": node " + name(node); }
void OnnxNodes::refuse(const Node& node) const {
  fail(node, "is an operator that no layer of Grapes computes; there are: " + join(supported_operators, ", ") +
                 ", and Quant and FloatQuant of QONNX");
}

std::string OnnxNodes::name(const Node& node) const {
  const std::string& called = !node.name.empty() || node.outputs.empty() ? node.name : node.outputs[0];
  return "'" + called + "' (" + (node.domain.empty() ? "" : node.domain + ".") + node.type + ")";
}

const std::string& OnnxNodes::resolved(const std::string& value) const {
  const auto found = same_.find(value);
  return found != same_.end() ? found->second : value;
}
std::string OnnxNodes::output() const { return resolved(output_); }

const std::vector<const onnx::Node*>& OnnxNodes::users(const std::string& value) const {
  static const std::vector<const Node*> none;
  const auto found = users_.find(value);
  return found != users_.end() ? found->second : none;
}

void OnnxNodes::add_constant(const Node& node) {
  for (const auto& [attribute, content] : node.attributes) {
    at::Tensor value;
    if (const auto* tensor = std::get_if<onnx::Tensor>(&content)) value = tensor_of_onnx(*tensor);
    if (const auto* one = std::get_if<float>(&content)) value = at::scalar_tensor(*one, at::kFloat);
    if (const auto* one = std::get_if<std::int64_t>(&content)) value = at::scalar_tensor(*one, at::kLong);
    if (const auto* list = std::get_if<std::vector<float>>(&content)) value = at::tensor(*list);
    if (const auto* list = std::get_if<std::vector<std::int64_t>>(&content)) value = at::tensor(*list);
    if (value.defined()) constants_[node.outputs[0]] = value;
  }
  if (!is_constant(node.outputs[0])) fail(node, "has no numbers");
}

template <class T>
T OnnxNodes::attribute(const Node& node, const std::string& name, T otherwise, const char* expected) const {
  const auto found = node.attributes.find(name);
  if (found == node.attributes.end()) return otherwise;
  const auto* value = std::get_if<T>(&found->second);
  if (value == nullptr) fail(node, fmt::format("has an attribute {} that is not {}", name, expected));
  return *value;
}
std::int64_t OnnxNodes::integer(const Node& node, const std::string& name, std::int64_t otherwise) const {
  return attribute(node, name, otherwise, "a whole number");
}
double OnnxNodes::real(const Node& node, const std::string& name, double otherwise) const {
  return attribute(node, name, static_cast<float>(otherwise), "a number");
}
std::vector<std::int64_t> OnnxNodes::integers(const Node& node, const std::string& name,
                                              std::vector<std::int64_t> otherwise) const {
  return attribute(node, name, std::move(otherwise), "a list of whole numbers");
}
std::string OnnxNodes::word(const Node& node, const std::string& name, const std::string& otherwise) const {
  return attribute(node, name, otherwise, "a text");
}

bool OnnxNodes::has_input(const Node& node, std::size_t input) {
  return input < node.inputs.size() && !node.inputs[input].empty();
}

at::Tensor OnnxNodes::constant(const Node& node, std::size_t input) const {
  if (!has_input(node, input)) fail(node, fmt::format("needs an input {}", input));
  const auto found = constants_.find(resolved(node.inputs[input]));
  if (found == constants_.end())
    fail(node, "takes '" + node.inputs[input] + "', which is not a constant; expected the numbers of a layer");
  return found->second;
}

at::Tensor OnnxNodes::other_operand(const Node& node, const std::string& value) const {
  if (node.inputs.size() != 2) fail(node, "must have two inputs");
  const bool left = resolved(node.inputs[0]) == value;
  if (!left && (node.type == "Sub" || node.type == "Div")) fail(node, "must have its constant as second input");
  return constant(node, left ? 1 : 0);
}

bool OnnxNodes::is_sum(const Node& node) const {
  return node.inputs.size() == 2 && !is_constant(resolved(node.inputs[0])) && !is_constant(resolved(node.inputs[1]));
}

void OnnxNodes::require_first(const Node& node, const std::string& value) const {
  if (resolved(node.inputs[0]) != value) fail(node, "must take '" + value + "' as its first input");
}

at::Tensor OnnxNodes::per_unit(const Node& node, const at::Tensor& c, std::int64_t units, std::int64_t axes) const {
  const std::int64_t after = axes == 4 ? 2 : 0;  // rows and columns
  const bool each = c.dim() > after && c.size(c.dim() - 1 - after) == units && c.numel() == units;
  const bool same = c.numel() == 1 && axes > 1;
  if (c.dim() > axes || !(each || same))
    fail(node, fmt::format("has a constant of the shape [{}]; expected one number for each of the {} units",
                           fmt::join(c.sizes(), ", "), units));
  return c.flatten().expand({units}).contiguous();
}

}  // namespace grapes::exchange
