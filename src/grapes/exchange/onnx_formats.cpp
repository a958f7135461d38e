// Number formats of QONNX's nodes.
#include "grapes/base/error.h"
#include "grapes/exchange/onnx_node.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace grapes::exchange {

bool OnnxNodes::rounds(const Node& node) const {
  const bool qonnx = node.domain == "qonnx.custom_op.general" || node.domain == "onnx.brevitas";
  return qonnx && (node.type == "Quant" || node.type == "IntQuant" || node.type == "FloatQuant");
}

kernels::NumberFormat OnnxNodes::format(const Node& node) const {
  const auto one = [&](std::size_t input) {
    const at::Tensor value = constant(node, input);
    if (value.numel() != 1)
      fail(node, fmt::format("has {} numbers as its input {}; expected one", value.numel(), input));
    return value.item<double>();
  };
  std::string rounding = word(node, "rounding_mode", "ROUND");
  if (rounding != "ROUND" && rounding != "HALF_EVEN")
    fail(node, "rounds by " + rounding + "; expected ROUND, to the nearest with ties to even");
  if (node.type == "FloatQuant") {
    for (const char* name : {"bf16", "fp16", "e4m3", "e5m2"}) {
      kernels::NumberFormat format = kernels::number_format(name, "format");
      const bool same = one(2) == format.bits - 1 - format.fraction && one(3) == format.fraction &&
                        one(4) == 1 - format.lowest_exponent && one(5) == format.high;
      if (same && one(1) == 1) return format;
    }
    fail(node, "has a floating format other than bf16, fp16, e4m3 and e5m2 without a scale");
  }
  const double step = one(1), bits = one(3);
  if (one(2) != 0) fail(node, "has a zero point; expected 0");
  if (integer(node, "signed", 1) == 0) fail(node, "is unsigned; expected signed numbers");
  const double fraction = -std::log2(step);
  const bool power = fraction == std::floor(fraction);
  const double whole = bits - fraction;
  if (!power || integer(node, "narrow", 0) != 0 || fraction < 0 || whole < 1 || bits > 25)
    fail(node, fmt::format("has {} bits and the step {}{}; expected qM.N, of which the step is 2^-N with N from 0 to "
                           "bits - 1, and not narrow",
                           bits, step, integer(node, "narrow", 0) != 0 ? ", narrow" : ""));
  return kernels::number_format(fmt::format("q{}.{}", whole, fraction), "format");
}

kernels::NumberFormat OnnxNodes::weight_format(const std::string& value) const {
  const auto found = formats_.find(resolved(value));
  return found != formats_.end() ? found->second : kernels::NumberFormat();
}

/// The weights stay as they are, because Grapes rounds them itself. Its format must give what the node gives.
void OnnxNodes::round_constant(const Node& node) {
  const at::Tensor W = constant(node, 0);
  const bool narrow = node.type != "FloatQuant" && integer(node, "narrow", 0) != 0;
  kernels::NumberFormat chosen;
  if (narrow) {
    const at::Tensor step = constant(node, 1).to(at::kDouble);
    const auto bits = static_cast<std::int64_t>(constant(node, 3).item<double>());
    if (bits < 2 || bits > 16) fail(node, fmt::format("has {} bits; expected 2 to 16", bits));
    const double most = std::ldexp(1.0, static_cast<int>(bits) - 1) - 1;
    const at::Tensor theirs = (W.to(at::kDouble) / step).round().clamp(-most, most).mul(step).to(W.scalar_type());
    const bool channels = step.dim() > 1;  // where both formats give the same, the shape says which it was
    for (const char* scale : {channels ? ":channel" : ":tensor", channels ? ":tensor" : ":channel"}) {
      const kernels::NumberFormat format = kernels::number_format(fmt::format("int{}{}", bits, scale), "format");
      if (!chosen && at::equal(kernels::rounded(W, format, 0, 0), theirs)) chosen = format;
    }
    if (!chosen)
      fail(node,
           fmt::format("rounds weights with a scale other than that of int{} in Grapes, the smallest power of two "
                       "that fits the largest weight",
                       bits));
  } else {
    chosen = format(node);
  }
  constants_[node.outputs[0]] = W;
  formats_[node.outputs[0]] = chosen;
}

}  // namespace grapes::exchange
