// Operations that give Python the tables of routes and modulations, by column, and the functions of their rows. A rule
// is passed field by field; torch_grapes.Rule groups the fields.
#include "grapes/core/compat.h"
#include "grapes/credit/modulation.h"
#include "grapes/credit/module_info.h"
#include "grapes/credit/route.h"
#include "grapes/credit/rule.h"

#include <torch/library.h>

#include <string>
#include <tuple>
#include <utility>

namespace grapes::credit {
namespace {

using Names = c10::List<std::string>;
using Flags = c10::List<bool>;

std::tuple<Names, Names, Flags> modulation_columns() {
  Names names, summaries;
  Flags local;
  for (const Modulation& row : modulations()) {
    names.push_back(row.name);
    summaries.push_back(row.summary);
    local.push_back(row.local);
  }
  return {names, summaries, local};
}

std::string to_string(Feedback feedback) {
  switch (feedback) {
    case Feedback::above:
      return "above";
    case Feedback::direct:
      return "direct";
    case Feedback::first:
      return "first";
    case Feedback::none:
      break;
  }
  return "none";
}

std::string to_string(FeedbackWeights weights) {
  switch (weights) {
    case FeedbackWeights::scale:
      return "scale";
    case FeedbackWeights::redrawn:
      return "redrawn";
    case FeedbackWeights::learned:
      return "learned";
    case FeedbackWeights::fixed:
      break;
  }
  return "fixed";
}

std::tuple<Names, Names, Flags, Flags, Names, Names> route_columns() {
  Names names, summaries, feedback, weights;
  Flags clipped, local_in_time;
  for (const Route& row : routes()) {
    names.push_back(row.name);
    summaries.push_back(row.summary);
    clipped.push_back(row.clipped);
    local_in_time.push_back(row.local_in_time);
    feedback.push_back(to_string(row.feedback));
    weights.push_back(to_string(row.weights));
  }
  return {names, summaries, clipped, local_in_time, feedback, weights};
}

std::tuple<bool, OptionalTensor> error_path(const std::string& route, const at::Tensor& W, const OptionalTensor& B) {
  Rule rule;
  rule.route = route;
  const ErrorPath way = route_of(rule).down(W, B.value_or(at::Tensor()));
  const bool by_matrix = way.to == ErrorPath::To::matrix;
  return {way.to != ErrorPath::To::none, by_matrix ? OptionalTensor(way.matrix) : OptionalTensor()};
}

at::Tensor factor_by_rule(const at::Tensor& weight, const OptionalTensor& recurrent, int64_t axis, int64_t groups,
                          int64_t gates, const std::string& modulation, at::ArrayRef<double> constants, double gain,
                          double low, double high, int64_t factor_bits, int64_t seed, bool per_gate, bool mean,
                          int64_t layer, int64_t batch, const std::string& name) {
  Rule rule;
  rule.modulation = modulation;
  rule.constants = constants.vec();
  rule.gain = gain;
  rule.clip = {Clip::Kind::range, low, high};
  rule.factor_bits = static_cast<int>(factor_bits);
  rule.seed = static_cast<std::uint64_t>(seed);
  rule.per_gate = per_gate;
  rule.reduction = mean ? Reduction::mean : Reduction::sum;
  ModuleInfo module;
  module.name = name;
  module.weight = weight;
  module.recurrent = recurrent.value_or(at::Tensor());
  module.gates = gates;
  return layer_factor(module, {axis, groups}, rule, static_cast<std::size_t>(layer), batch);
}

TORCH_LIBRARY_FRAGMENT(grapes, library) {
  library.def("modulations() -> (str[] name, str[] summary, bool[] local)", &modulation_columns);
  library.def(
      "routes() -> (str[] name, str[] summary, bool[] clipped, bool[] local_in_time, str[] feedback, str[] weights)",
      &route_columns);
  // Whether the layer below receives an error, and the matrix that carries the error unless it is the weight itself.
  library.def("error_path(str route, Tensor weight, Tensor? feedback) -> (bool, Tensor?)", &error_path);
  library.def(
      "layer_factor(Tensor weight, Tensor? recurrent, int axis, int groups, int gates, str modulation, float[] "
      "constants, float gain, float low, float high, int factor_bits, int seed, bool per_gate, bool mean, int layer, "
      "int batch, str name) -> Tensor",
      &factor_by_rule);
  library.def("over_weight(Tensor m, Tensor weight, int axis, int groups) -> Tensor",
              [](const at::Tensor& m, const at::Tensor& weight, int64_t axis, int64_t groups) {
                return over_weight(m, weight, {axis, groups});
              });
}

}  // namespace
}  // namespace grapes::credit
