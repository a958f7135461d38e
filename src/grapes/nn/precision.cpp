#include "grapes/nn/precision.h"

#include "grapes/base/random.h"
#include "grapes/base/table.h"
#include "grapes/core/rounding.h"

#include <array>
#include <set>
#include <vector>

namespace grapes::nn {
namespace {

struct RoundedPart {
  std::string name;
  kernels::NumberFormat Precision::*format;
};
const std::array<RoundedPart, 5>& rounded_parts() {
  static const std::array<RoundedPart, 5> rows = {{{"weights", &Precision::weights},
                                                   {"master", &Precision::master},
                                                   {"activations", &Precision::activations},
                                                   {"error", &Precision::error},
                                                   {"update", &Precision::update}}};
  return rows;
}

}  // namespace

Precision parse_precision(const std::string& text) {
  Precision precision;
  if (text == "float32") return precision;
  if (text == "float64") return precision.dtype = at::kDouble, precision;
  if (text == "bf16") return precision.bf16 = true, precision;
  if (text.find('=') == std::string::npos)
    throw UsageError("precision must be float32, float64, bf16 or PART=FORMAT,... (weights=int8,error=q4.12); got '" +
                     text + "'");
  std::set<std::string> given;
  for (const std::string& piece : split(text, ',')) {
    const std::size_t at = piece.find('=');
    std::string name = piece.substr(0, at);
    if (name == "errors" || name == "updates") name.pop_back();
    const RoundedPart& part = find_row(rounded_parts(), "part of precision", name);
    if (at == std::string::npos)
      throw UsageError("precision: '" + piece + "' has no format; expected " + name + "=FORMAT");
    if (!given.insert(name).second) throw UsageError("precision: " + name + " is given twice");
    precision.*part.format = kernels::number_format(piece.substr(at + 1), "precision " + name);
  }
  if (given.count("master") == 0) precision.master = precision.weights;
  return precision;
}

std::string to_string(const Precision& precision) {
  std::vector<std::string> parts;
  for (const RoundedPart& part : rounded_parts()) {
    const kernels::NumberFormat& format = precision.*part.format;
    const bool master = part.format == &Precision::master;
    if (master ? format != precision.weights : bool(format)) parts.push_back(part.name + "=" + to_string(format));
  }
  if (!parts.empty()) return join(parts, ",");
  return precision.bf16 ? "bf16" : precision.dtype == at::kDouble ? "float64" : "float32";
}

at::Tensor Rounding::weight(const at::Tensor& W) const {
  return weights ? round_value(W, weights, 0, stream_seed(key, "weights")) : W;
}
at::Tensor Rounding::input(const at::Tensor& h) const {
  return activations ? round_value(h, activations, 1, stream_seed(key, "activations")) : h;
}
at::Tensor Rounding::error_at(const at::Tensor& z, std::int64_t axis) const {
  return error ? round_error(z, error, axis, stream_seed(key, "error")) : z;
}
Rounding Rounding::of(const char* what, std::int64_t number) const {
  Rounding other = *this;
  other.key = stream_seed(key, what, static_cast<std::uint64_t>(number));
  return other;
}

}  // namespace grapes::nn
