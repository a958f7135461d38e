// What single operators of ONNX mean.
#include "grapes/exchange/onnx_node.h"
#include "grapes/kernels/loops.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace grapes::exchange {
namespace {

bool near(double a, double b) { return std::abs(a - b) < 1e-5 * std::abs(b); }

}  // namespace

OnnxLayer OnnxNodes::layer(const Node& node, std::int64_t axes, const char* expected, bool transposed) const {
  const auto laid = [&](const at::Tensor& W) { return transposed ? W.t().contiguous() : W; };
  const at::Tensor W = constant(node, 1);
  if (W.dim() != axes || W.numel() == 0 || !W.is_floating_point())
    fail(node, fmt::format("has weights of the shape [{}]; expected {}", fmt::join(W.sizes(), ", "), expected));
  const auto rounded = rounded_.find(resolved(node.inputs[1]));
  if (rounded == rounded_.end()) return {where(node), laid(W)};
  // Grapes rounds the weights itself.
  const at::Tensor given = laid(rounded->second.given);
  return {where(node), given, weight_format(*rounded->second.by, given, laid(W))};
}

OnnxLayer OnnxNodes::dense(const Node& node) const {
  const bool gemm = node.type == "Gemm";
  OnnxLayer made = layer(node, 2, "a matrix", !gemm || integer(node, "transB", 0) == 0);
  if (!gemm) return made;
  if (integer(node, "transA", 0) != 0) fail(node, "transposes its input (transA)");
  const double alpha = real(node, "alpha", 1), beta = real(node, "beta", 1);
  if (alpha != 1) made.multiply(at::full({made.units()}, alpha, made.weight.options()));
  if (has_input(node, 2)) made.bias = per_unit(node, constant(node, 2), made.units(), 2);
  if (made.bias.defined() && beta != 1) made.bias = made.bias * beta;
  return made;
}

/// @param least  of each number @param count  of numbers
std::int64_t OnnxNodes::square(const Node& node, const std::string& what, const std::vector<std::int64_t>& sides,
                               std::int64_t least, std::size_t count) const {
  const auto fits = [&](std::int64_t side) { return side == sides[0] && side >= least; };
  if (sides.size() != count || !std::ranges::all_of(sides, fits))
    fail(node, fmt::format("has {} [{}]; expected {} times the same number, at least {}", what, fmt::join(sides, ", "),
                           count, least));
  return sides[0];
}

OnnxConvolution OnnxNodes::convolution(const Node& node) const {
  OnnxConvolution all{layer(node, 4, "[channels, channels below, rows, columns]"), 1, 0};
  if (has_input(node, 2)) all.layer.bias = per_unit(node, constant(node, 2), all.layer.units(), 1);
  const std::vector<std::int64_t> sides = all.layer.weight.sizes().slice(2).vec();
  const std::int64_t kernel = square(node, "a kernel of", sides, 1);
  if (integers(node, "kernel_shape", sides) != sides)
    fail(node, fmt::format("has a kernel_shape other than its weights, [{}]", fmt::join(sides, ", ")));
  all.stride = square(node, "strides", integers(node, "strides", {1, 1}), 1);
  if (integer(node, "group", 1) != 1) fail(node, fmt::format("has {} groups; expected 1", integer(node, "group", 1)));
  if (square(node, "dilations", integers(node, "dilations", {1, 1}), 1) != 1) fail(node, "has dilations; expected 1");
  const std::string automatic = word(node, "auto_pad", "NOTSET");
  all.padding = square(node, "pads", integers(node, "pads", {0, 0, 0, 0}), 0, 4);
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    if (kernel % 2 == 0 || all.stride != 1)
      fail(node, "pads rows and columns by different numbers on their sides (auto_pad " + automatic + ")");
    all.padding = kernel / 2;
  }
  return all;
}

std::int64_t OnnxNodes::window(const Node& node) const {
  const std::int64_t side = square(node, "windows of", integers(node, "kernel_shape", {}), 1);
  const std::int64_t stride = square(node, "strides", integers(node, "strides", {1, 1}), 1);
  if (stride != side)
    fail(node, fmt::format("has windows of {} × {} with stride {}; expected windows that do not overlap", side, side,
                           stride));
  if (square(node, "dilations", integers(node, "dilations", {1, 1}), 1) != 1) fail(node, "has dilations; expected 1");
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
