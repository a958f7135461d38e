#include "grapes/exchange/onnx_node.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/kernels/loops.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace grapes::exchange {
namespace {

at::Tensor tensor_of_onnx(const onnx::Tensor& tensor) {
  return std::visit([&](const auto& values) { return at::tensor(values).reshape(tensor.shape); }, tensor.values);
}

bool near(double a, double b) { return std::abs(a - b) < 1e-5 * std::abs(b); }

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
  for (const onnx::Tensor& one : graph.initializers) constants_[one.name] = tensor_of_onnx(one);
  for (const onnx::Node& node : graph.nodes) {
    if (node.outputs.empty() || (node.inputs.empty() && node.type != "Constant"))
      fail(node, "has no inputs or outputs");
    const bool standard =
        node.domain.empty() && (is_among(supported_operators, node.type) || is_among(shape_operators, node.type));
    if (!standard && !rounds(node)) refuse(node);
    made_by_[node.outputs[0]] = &node;
    const bool known = !node.inputs.empty() && is_constant(resolved(node.inputs[0]));
    if (node.type == "Constant") {
      add_constant(node);
    } else if (node.type == "Identity" || node.type == "Dropout") {
      same_[node.outputs[0]] = resolved(node.inputs[0]);
    } else if (known && rounds(node)) {
      round_constant(node);
    } else if (node.type != "Shape") {  // part of the size of a Reshape
      for (const std::string& value : node.inputs) users_[resolved(value)].push_back(&node);
    }
  }
  for (const onnx::Value& one : graph.inputs) {
    if (is_constant(one.name)) continue;
    if (input_ != nullptr) fail("it has the inputs '" + input_->name + "' and '" + one.name + "'; expected one");
    input_ = &one;
  }
  if (input_ == nullptr) fail("it has no input");
  if (graph.outputs.size() != 1) fail(fmt::format("it has {} outputs; expected one", graph.outputs.size()));
  output_ = graph.outputs[0].name;
}

void OnnxNodes::fail(const std::string& what) const { throw DataError(file_ + ": " + what); }
void OnnxNodes::fail(const Node& node, const std::string& what) const { fail("node " + name(node) + " " + what); }
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

std::int64_t OnnxNodes::integer(const Node& node, const std::string& attribute, std::int64_t otherwise) const {
  const auto found = node.attributes.find(attribute);
  if (found == node.attributes.end()) return otherwise;
  const auto* value = std::get_if<std::int64_t>(&found->second);
  if (value == nullptr) fail(node, "has an attribute " + attribute + " that is not a whole number");
  return *value;
}

double OnnxNodes::real(const Node& node, const std::string& attribute, double otherwise) const {
  const auto found = node.attributes.find(attribute);
  if (found == node.attributes.end()) return otherwise;
  const auto* value = std::get_if<float>(&found->second);
  if (value == nullptr) fail(node, "has an attribute " + attribute + " that is not a number");
  return *value;
}

std::vector<std::int64_t> OnnxNodes::integers(const Node& node, const std::string& attribute,
                                              std::vector<std::int64_t> otherwise) const {
  const auto found = node.attributes.find(attribute);
  if (found == node.attributes.end()) return otherwise;
  const auto* value = std::get_if<std::vector<std::int64_t>>(&found->second);
  if (value == nullptr) fail(node, "has an attribute " + attribute + " that is not a list of whole numbers");
  return *value;
}

std::string OnnxNodes::word(const Node& node, const std::string& attribute, const std::string& otherwise) const {
  const auto found = node.attributes.find(attribute);
  if (found == node.attributes.end()) return otherwise;
  const auto* value = std::get_if<std::string>(&found->second);
  if (value == nullptr) fail(node, "has an attribute " + attribute + " that is not a text");
  return *value;
}

at::Tensor OnnxNodes::constant(const Node& node, std::size_t input) const {
  if (input >= node.inputs.size()) fail(node, fmt::format("needs an input {}", input));
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

bool OnnxNodes::is_per_unit(const at::Tensor& c, std::int64_t axes) {
  const std::int64_t after = axes == 4 ? 2 : 0;  // rows and columns
  if (c.dim() < after + 1 || c.dim() > axes) return false;
  return c.size(c.dim() - 1 - after) == c.numel();
}

std::pair<at::Tensor, at::Tensor> OnnxNodes::dense(const Node& node, const std::string& value) const {
  if (resolved(node.inputs[0]) != value) fail(node, "must have its weights as second input");
  at::Tensor weight = constant(node, 1), bias;
  if (weight.dim() != 2 || !weight.is_floating_point())
    fail(node, fmt::format("has weights of the shape [{}]; expected a matrix", fmt::join(weight.sizes(), ", ")));
  if (node.type == "MatMul") return {weight.t().contiguous(), bias};
  if (integer(node, "transA", 0) != 0) fail(node, "transposes its input (transA)");
  if (integer(node, "transB", 0) == 0) weight = weight.t().contiguous();
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
    const double beta = real(node, "beta", 1);
    bias = constant(node, 2).flatten().expand({weight.size(0)}).contiguous();
    if (beta != 1) bias = bias * beta;
  }
  const double alpha = real(node, "alpha", 1);
  if (alpha != 1 && weight_format(node.inputs[1])) fail(node, "scales rounded weights (alpha)");
  return {alpha != 1 ? weight * alpha : weight, bias};
}

std::int64_t OnnxNodes::square(const Node& node, const std::string& what,
                               const std::vector<std::int64_t>& sides) const {
  if (sides.empty() || std::ranges::any_of(sides, [&](std::int64_t side) { return side != sides[0]; }))
    fail(node, fmt::format("has {} [{}]; expected the same number for rows and columns", what, fmt::join(sides, ", ")));
  return sides[0];
}

OnnxConvolution OnnxNodes::convolution(const Node& node, const std::string& value) const {
  if (resolved(node.inputs[0]) != value) fail(node, "must have its weights as second input");
  OnnxConvolution all{constant(node, 1), {}, 1, 0};
  if (all.weight.dim() != 4 || !all.weight.is_floating_point())
    fail(node, fmt::format("has weights of the shape [{}]; expected [channels, channels below, rows, columns]",
                           fmt::join(all.weight.sizes(), ", ")));
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) all.bias = constant(node, 2);
  const std::int64_t kernel = square(node, "a kernel of", all.weight.sizes().slice(2).vec());
  all.stride = square(node, "strides", integers(node, "strides", {1, 1}));
  if (integer(node, "group", 1) != 1) fail(node, fmt::format("has {} groups; expected 1", integer(node, "group", 1)));
  if (square(node, "dilations", integers(node, "dilations", {1, 1})) != 1) fail(node, "has dilations; expected 1");
  const std::string automatic = word(node, "auto_pad", "NOTSET");
  all.padding = square(node, "pads", integers(node, "pads", {0, 0, 0, 0}));
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    if (kernel % 2 == 0 || all.stride != 1)
      fail(node, "pads rows and columns by different numbers on their sides (auto_pad " + automatic + ")");
    all.padding = kernel / 2;
  }
  return all;
}

std::int64_t OnnxNodes::window(const Node& node) const {
  const std::int64_t side = square(node, "windows of", integers(node, "kernel_shape", {}));
  const std::int64_t stride = square(node, "strides", integers(node, "strides", {1, 1}));
  if (stride != side)
    fail(node, fmt::format("has windows of {} × {} with stride {}; expected windows that do not overlap", side, side,
                           stride));
  const bool same = word(node, "auto_pad", "NOTSET").starts_with("SAME");
  if (same || std::ranges::any_of(integers(node, "pads", {}), [](std::int64_t pad) { return pad != 0; }))
    fail(node, "pads its input; expected no padding");
  if (integer(node, "ceil_mode", 0) != 0) fail(node, "has windows that reach beyond the map (ceil_mode)");
  return side;
}

std::vector<std::int64_t> OnnxNodes::axes(const Node& node) const {
  std::vector<std::int64_t> all = integers(node, "axes", {});
  if (all.empty() && node.inputs.size() > 1) {
    const at::Tensor given = constant(node, 1).to(at::kLong).contiguous();
    all.assign(given.data_ptr<std::int64_t>(), given.data_ptr<std::int64_t>() + given.numel());
  }
  for (std::int64_t& axis : all) axis += axis < 0 ? 4 : 0;
  std::ranges::sort(all);
  return all;
}

void OnnxNodes::require_map_axes(const Node& node) const {
  if (axes(node) != std::vector<std::int64_t>{2, 3}) fail(node, "must be over rows and columns, the axes 2 and 3");
}

void OnnxNodes::require_flat(const Node& node) const {
  if (node.type == "Flatten") {
    if (integer(node, "axis", 1) != 1) fail(node, "must keep the axis of the batch (axis 1)");
    return;
  }
  if (node.type == "Squeeze") return require_map_axes(node);
  if (node.inputs.size() < 2) fail(node, "has no shape");
  const std::string& shape = resolved(node.inputs[1]);
  if (is_constant(shape)) {
    if (constants_.at(shape).numel() == 2) return;
  } else if (const auto found = made_by_.find(shape); found != made_by_.end()) {
    // PyTorch computes the size of the batch, where it may vary: Concat(Shape(x)[0], -1).
    const Node& list = *found->second;
    if (list.type == "Concat" && list.inputs.size() == 2 && is_constant(resolved(list.inputs[1]))) return;
  }
  fail(node, "must give two axes, the batch and the values of an example");
}

std::string OnnxNodes::activation(const Node& node) const {
  if (node.type == "Relu") return "relu";
  if (node.type == "Tanh") return "tanh";
  if (node.type == "Sigmoid") return "sigmoid";
  if (node.type != "LeakyRelu") return "";
  const double alpha = real(node, "alpha", 0.01);
  if (!near(alpha, kernels::leaky_slope))
    fail(node, fmt::format("has the slope {:.6g}; that of leaky_relu in Grapes is {}", alpha, kernels::leaky_slope));
  return "leaky_relu";
}

const onnx::Node* OnnxNodes::scaled_tanh(const Node& node, const at::Tensor& c) const {
  if (node.type != "Mul" || c.numel() != 1 || !near(c.item<double>(), kernels::scaled_tanh_inner)) return nullptr;
  const std::vector<const Node*>& tanh = users(node.outputs[0]);
  if (tanh.size() != 1 || tanh[0]->type != "Tanh") return nullptr;
  const std::vector<const Node*>& outer = users(tanh[0]->outputs[0]);
  if (outer.size() != 1 || outer[0]->type != "Mul" || is_sum(*outer[0])) return nullptr;
  const at::Tensor factor = other_operand(*outer[0], tanh[0]->outputs[0]);
  return factor.numel() == 1 && near(factor.item<double>(), kernels::scaled_tanh_outer) ? tanh[0] : nullptr;
}

bool OnnxNodes::is_last_scale(const Node& node) const {
  const std::vector<const Node*>& next = users(node.outputs[0]);
  return next.size() == 1 && next[0]->type == "Add" && !is_sum(*next[0]) && next[0]->outputs[0] == output();
}

}  // namespace grapes::exchange
