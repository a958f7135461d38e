// Number formats of QONNX's nodes.
#include "grapes/exchange/onnx_node.h"

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <fmt/format.h>

#include <cmath>

namespace grapes::exchange {

bool OnnxNodes::rounds(const Node& node) const {
  const bool qonnx = node.domain == "qonnx.custom_op.general" || node.domain == "onnx.brevitas";
  return qonnx && (node.type == "Quant" || node.type == "IntQuant" || node.type == "FloatQuant");
}

double OnnxNodes::one_number(const Node& node, std::size_t input) const {
  const at::Tensor value = constant(node, input);
  if (value.numel() != 1) fail(node, fmt::format("has {} numbers as its input {}; expected one", value.numel(), input));
  return value.item<double>();
}

void OnnxNodes::require_nearest(const Node& node) const {
  const std::string rounding = word(node, "rounding_mode", "ROUND");
  if (rounding != "ROUND" && rounding != "HALF_EVEN")
    fail(node, "rounds by " + rounding + "; expected ROUND, to the nearest with ties to even");
  if (node.type != "FloatQuant") {
    if (constant(node, 2).ne(0).any().item<bool>()) fail(node, "has a zero point; expected 0");
    if (integer(node, "signed", 1) == 0) fail(node, "is unsigned; expected signed numbers");
    return;
  }
  // Where numbers saturate, has_inf and has_nan make no difference.
  if (integer(node, "saturation", 1) == 0) fail(node, "does not saturate; expected saturation 1");
  if (integer(node, "has_subnormal", 1) == 0) fail(node, "has no subnormal numbers; expected has_subnormal 1");
}

OnnxNodes::Steps OnnxNodes::steps(const Node& node) const {
  const double bits = one_number(node, 3);
  if (!(bits >= 2 && bits <= 32) || bits != std::floor(bits))
    fail(node, fmt::format("has {} bits; expected 2 to 32", bits));
  const at::Tensor step = constant(node, 1).to(at::kDouble);
  if (!(step.gt(0).logical_and(step.isfinite())).all().item<bool>()) fail(node, "has a step that is not above 0");
  return {step, static_cast<int>(bits), integer(node, "narrow", 0) != 0};
}

kernels::NumberFormat OnnxNodes::format(const Node& node) const {
  require_nearest(node);
  if (node.type == "FloatQuant") {
    for (const char* name : {"bf16", "fp16", "e4m3", "e5m2"}) {
      kernels::NumberFormat format = kernels::number_format(name, "format");
      const bool same = one_number(node, 2) == format.bits - 1 - format.fraction &&
                        one_number(node, 3) == format.fraction && one_number(node, 4) == 1 - format.lowest_exponent &&
                        one_number(node, 5) == format.high;
      if (same && one_number(node, 1) == 1) return format;
    }
    fail(node, "has a floating format other than bf16, fp16, e4m3 and e5m2 without a scale");
  }
  const Steps all = steps(node);
  const double step = one_number(node, 1), fraction = -std::log2(step), whole = all.bits - fraction;
  if (fraction != std::floor(fraction) || all.narrow || fraction < 0 || whole < 1 || all.bits > 25)
    fail(node, fmt::format("has {} bits and the step {}{}; expected qM.N of at most 25 bits, of which the step is 2^-N "
                           "with N from 0 to bits - 1, and not narrow",
                           all.bits, step, all.narrow ? ", narrow" : ""));
  return kernels::number_format(fmt::format("q{}.{}", whole, fraction), "format");
}

void OnnxNodes::round_constant(const Node& node) {
  const at::Tensor given = constant(node, 0);
  if (!given.is_floating_point()) fail(node, "rounds whole numbers; expected floating-point numbers");
  require_nearest(node);
  at::Tensor rounded;
  if (node.type == "FloatQuant") {
    rounded = kernels::rounded(given, format(node), 0, 0);
  } else {
    const auto [step, bits, narrow] = steps(node);
    if (!at::is_expandable_to(step.sizes(), given.sizes()))
      fail(node, fmt::format("has steps of the shape [{}], which does not fit its constant, [{}]",
                             fmt::join(step.sizes(), ", "), fmt::join(given.sizes(), ", ")));
    const double most = std::ldexp(1.0, bits - 1) - 1;
    rounded = (given.to(at::kDouble) / step)
                  .round()
                  .clamp(narrow ? -most : -most - 1, most)
                  .mul(step)
                  .to(given.scalar_type());
  }
  constants_[node.outputs[0]] = rounded;
  rounded_[node.outputs[0]] = {given, &node};
}

kernels::NumberFormat OnnxNodes::weight_format(const Node& node, const at::Tensor& W, const at::Tensor& rounded) const {
  if (node.type == "FloatQuant" || integer(node, "narrow", 0) == 0) return format(node);
  const Steps all = steps(node);
  if (all.bits > 16) fail(node, fmt::format("rounds weights to {} bits; expected 2 to 16", all.bits));
  // If both formats give the same numbers, the shape tells which one was used.
  const bool channels = all.step.dim() > 1;
  for (const char* scale : {channels ? ":channel" : ":tensor", channels ? ":tensor" : ":channel"}) {
    const kernels::NumberFormat format = kernels::number_format(fmt::format("int{}{}", all.bits, scale), "format");
    if (at::equal(kernels::rounded(W, format, 0, 0), rounded)) return format;
  }
  fail(node, fmt::format("rounds weights with a scale other than that of int{} in Grapes, the smallest power of two "
                         "that fits the largest weight",
                         all.bits));
}

}  // namespace grapes::exchange
