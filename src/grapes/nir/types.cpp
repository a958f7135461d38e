#include "grapes/nir/types.h"

#include <fmt/format.h>

#include <algorithm>

namespace grapes::nir {
namespace {

using Kind = Parameter::Kind;

Parameter population(std::string name) { return {std::move(name), Kind::population}; }
Parameter above_zero(std::string name) { return {std::move(name), Kind::population, 1, 0}; }
/// Older files lack these parameters; the defaults are v_reset = 0 and w_in = 1.
Parameter optional(std::string name) {
  Parameter parameter = population(std::move(name));
  parameter.required = false;
  return parameter;
}
Parameter weights(std::string name, int axes) { return {std::move(name), Kind::weights, axes}; }
Parameter positive(std::string name, int count) { return {std::move(name), Kind::counts, count, 0}; }
Parameter padding(int count) { return {"padding", Kind::padding, count, -1}; }

const Shape& shape_of(const Node& node, const char* field) { return node.fields.at(field).shape; }

/// For neurons and other element-wise nodes.
template <const char* const* field>
std::optional<Shape> takes_population(const Node& node) {
  return shape_of(node, *field);
}
Flow same(const Node&, const Shape& in) { return {in, ""}; }
std::optional<Shape> anything(const Node&) { return std::nullopt; }

constexpr const char* r = "r";
constexpr const char* scale = "scale";
constexpr const char* threshold = "threshold";
constexpr const char* delay = "delay";

std::optional<Shape> takes_shape(const Node& node) { return whole_numbers(node.fields.at("shape")); }

std::optional<Shape> takes_columns(const Node& node) { return Shape{shape_of(node, "weight")[1]}; }
Flow gives_rows(const Node& node, const Shape&) { return {{shape_of(node, "weight")[0]}, ""}; }
Flow gives_affine(const Node& node, const Shape& in) {
  if (shape_of(node, "bias")[0] != shape_of(node, "weight")[0])
    return {{},
            fmt::format("bias must be [{}], one number per row of weight; got {}", shape_of(node, "weight")[0],
                        shape_text(shape_of(node, "bias")))};
  return gives_rows(node, in);
}

/// Returns how often a moving window fits into `size` positions.
Flow slid(const Node& node, const Shape& in, std::int64_t channels, const std::vector<std::int64_t>& window) {
  const std::size_t axes = window.size();
  const auto stride = per_axis(node, "stride", axes, 1), dilation = per_axis(node, "dilation", axes, 1);
  const auto found = node.fields.find("padding");
  const std::string word = found != node.fields.end() ? text_of(found->second) : "";
  const auto padding = per_axis(node, "padding", axes, 0);
  Flow flow{{channels}, ""};
  for (std::size_t a = 0; a < axes; ++a) {
    const std::int64_t size = in[a + 1], reach = dilation[a] * (window[a] - 1) + 1;
    if (word == "same") {
      if (stride[a] != 1) return {{}, "padding 'same' needs stride 1"};
      flow.out.push_back(size);
      continue;
    }
    const std::int64_t room = size + 2 * (word == "valid" ? 0 : padding[a]) - reach;
    if (room < 0) return {{}, fmt::format("its window of {} does not fit into {} positions", reach, size)};
    flow.out.push_back(room / stride[a] + 1);
  }
  return flow;
}

/// weight [channel out, channel in / groups, ...]
std::optional<Shape> takes_pictures(const Node& node) {
  const auto found = node.fields.find("input_shape");
  if (found == node.fields.end()) return std::nullopt;
  const Shape& weight = shape_of(node, "weight");
  Shape in = {weight[1] * per_axis(node, "groups", 1, 1)[0]};
  for (const std::int64_t size : per_axis(node, "input_shape", weight.size() - 2)) in.push_back(size);
  return in;
}
Flow gives_maps(const Node& node, const Shape& in) {
  const Shape& weight = shape_of(node, "weight");
  const std::int64_t groups = per_axis(node, "groups", 1, 1)[0], channels = weight[1] * groups;
  if (in.size() != weight.size() - 1 || in[0] != channels)
    return {
        {},
        fmt::format("expects {} channels and {} spatial axes; got {}", channels, weight.size() - 2, shape_text(in))};
  if (weight[0] % groups != 0)
    return {{}, fmt::format("its {} channels cannot be divided into {} groups", weight[0], groups)};
  if (shape_of(node, "bias")[0] != weight[0])
    return {{},
            fmt::format("bias must be [{}], one number per channel; got {}", weight[0],
                        shape_text(shape_of(node, "bias")))};
  return slid(node, in, weight[0], {weight.begin() + 2, weight.end()});
}

Flow gives_pooled(const Node& node, const Shape& in) {
  if (in.size() != 3) return {{}, "expects channels, rows and columns; got " + shape_text(in)};
  return slid(node, in, in[0], per_axis(node, "kernel_size", 2));
}

std::optional<Shape> takes_listed(const Node& node) {
  const auto found = node.fields.find("input_type");
  if (found == node.fields.end()) return std::nullopt;
  return whole_numbers(found->second);
}
Flow gives_flat(const Node& node, const Shape& in) {
  const auto axes = static_cast<std::int64_t>(in.size());
  const auto axis = [&](const char* name) {
    const std::int64_t at = per_axis(node, name, 1)[0];
    return at < 0 ? at + axes : at;
  };
  const std::int64_t first = axis("start_dim"), last = axis("end_dim");
  if (first < 0 || last >= axes || first > last)
    return {{},
            fmt::format("axes {} to {} are not all in {}", per_axis(node, "start_dim", 1)[0],
                        per_axis(node, "end_dim", 1)[0], shape_text(in))};
  Flow flow{{in.begin(), in.begin() + first}, ""};
  flow.out.push_back(count({in.begin() + first, in.begin() + last + 1}));
  flow.out.insert(flow.out.end(), in.begin() + last + 1, in.end());
  return flow;
}

std::vector<Parameter> convolution(int axes) {
  Parameter input{"input_shape", Kind::counts, axes, 0, false};
  return {input,
          weights("weight", axes + 2),
          positive("stride", axes),
          padding(axes),
          positive("dilation", axes),
          positive("groups", 1),
          weights("bias", 1)};
}
std::vector<Parameter> pooling() {
  return {positive("kernel_size", 2), positive("stride", 2), {"padding", Kind::counts, 2, -1}};
}

}  // namespace

const std::vector<Type>& types() {
  static const std::vector<Parameter> shape = {{"shape", Kind::shape, 1, 0}};
  static const std::vector<Type> rows = {
      {"Input", "input of the graph", shape, false, takes_shape, same},
      {"Output", "output of the graph", shape, false, takes_shape, same},
      {"Linear", "y = W x", {weights("weight", 2)}, false, takes_columns, gives_rows},
      {"Affine", "y = W x + b", {weights("weight", 2), weights("bias", 1)}, false, takes_columns, gives_affine},
      {"Conv1d", "a convolution along one axis", convolution(1), false, takes_pictures, gives_maps},
      {"Conv2d", "a convolution along two axes", convolution(2), false, takes_pictures, gives_maps},
      {"SumPool2d", "the sum over a window", pooling(), false, anything, gives_pooled},
      {"AvgPool2d", "the mean over a window", pooling(), false, anything, gives_pooled},
      {"Flatten",
       "merges axes start_dim to end_dim",
       {{"start_dim", Kind::counts, 1}, {"end_dim", Kind::counts, 1}, {"input_type", Kind::shape, 1, 0, false}},
       false,
       takes_listed,
       gives_flat},
      {"Scale", "y = s x", {population("scale")}, false, takes_population<&scale>, same},
      {"Threshold",
       "y = 1 if x > threshold, else 0",
       {population("threshold")},
       false,
       takes_population<&threshold>,
       same},
      {"Delay", "y(t) = x(t - delay)", {population("delay")}, true, takes_population<&delay>, same},
      {"I", "dv/dt = r i", {population("r")}, true, takes_population<&r>, same},
      {"LI",
       "tau dv/dt = (v_leak - v) + r i",
       {above_zero("tau"), population("r"), population("v_leak")},
       true,
       takes_population<&r>,
       same},
      {"CubaLI",
       "LI with the current tau_syn di/dt = -i + w_in x",
       {above_zero("tau_syn"), above_zero("tau_mem"), population("r"), population("v_leak"), optional("w_in")},
       true,
       takes_population<&r>,
       same},
      {"IF",
       "dv/dt = r i; v > v_threshold: a spike, v := v_reset",
       {population("r"), population("v_threshold"), optional("v_reset")},
       true,
       takes_population<&r>,
       same},
      {"LIF",
       "tau dv/dt = (v_leak - v) + r i; v > v_threshold: a spike, v := v_reset",
       {above_zero("tau"), population("r"), population("v_leak"), population("v_threshold"), optional("v_reset")},
       true,
       takes_population<&r>,
       same},
      {"CubaLIF",
       "LIF with the current tau_syn di/dt = -i + w_in x",
       {above_zero("tau_syn"), above_zero("tau_mem"), population("r"), population("v_leak"), population("v_threshold"),
        optional("v_reset"), optional("w_in")},
       true,
       takes_population<&r>,
       same},
  };
  return rows;
}

const Type* type_of(const Node& node) {
  const auto row = std::ranges::find(types(), node.type, &Type::name);
  return row != types().end() ? &*row : nullptr;
}

std::vector<std::int64_t> per_axis(const Node& node, const std::string& name, std::size_t axes,
                                   std::int64_t otherwise) {
  const auto found = node.fields.find(name);
  std::vector<std::int64_t> values =
      found != node.fields.end() ? whole_numbers(found->second) : std::vector<std::int64_t>();
  if (values.empty()) values = {otherwise};
  if (values.size() == 1) values.resize(axes, values[0]);
  return values;
}

}  // namespace grapes::nir
