#include "grapes/nn/model.h"

#include "grapes/base/table.h"
#include "grapes/nn/mlp.h"
#include "grapes/nn/snn.h"

#include <functional>
#include <numeric>

namespace grapes::nn {
namespace {

std::vector<std::int64_t> widths(const std::string& arguments, const std::string& spec) {
  std::vector<std::int64_t> nodes;
  for (const std::string& piece : split(arguments, ',')) {
    const auto width = to_integer(trim(piece));
    if (!width || *width < 1 || *width > 1'000'000)
      throw UsageError("model '" + spec + "': expected node counts such as mlp:256,256; got '" + piece + "'");
    nodes.push_back(*width);
  }
  return nodes;
}

}  // namespace

const std::vector<Row>& models() {
  static const std::vector<Row> rows = {
      {"mlp", "mlp:N1,N2,...: dense layers with so many hidden nodes each"},
      {"snu", "snu:N1,N2,...: layers of spiking neurons over time, see the keys of the group spiking"},
      {"linear", "one dense layer from inputs to outputs"},
  };
  return rows;
}

std::vector<kernels::Parameter> learning(const Model& model) {
  std::vector<kernels::Parameter> all;
  for (const Named& parameter : model.parameters()) all.emplace_back(parameter.value, parameter.sums);
  return all;
}

std::unique_ptr<Model> make_model(const Options& options, const Signature& signature, std::uint64_t seed) {
  const std::vector<std::int64_t>& input_shape = signature.input_shape;
  const std::size_t colon = options.model.find(':');
  const std::string name = options.model.substr(0, colon);
  const std::string arguments = colon == std::string::npos ? "" : options.model.substr(colon + 1);
  find_row(models(), "model", name);
  std::vector<std::int64_t> nodes = {
      std::accumulate(input_shape.begin(), input_shape.end(), std::int64_t{1}, std::multiplies<>())};
  const bool spiking = name == "snu";
  if (signature.sequence && !spiking)
    throw UsageError("model '" + options.model + "': the examples are sequences, which only snu:N1,N2,... takes");
  if (!spiking && find_row(credit::routes(), "route", options.route.name).forgets)
    throw UsageError("route " + options.route.name + " is for spiking networks; model is '" + options.model + "'");
  if (name != "linear") {
    for (const std::int64_t width : widths(arguments, options.model)) nodes.push_back(width);
  } else if (colon != std::string::npos) {
    throw UsageError("model '" + options.model + "': linear takes no arguments");
  }
  const std::size_t hidden = nodes.size() - 1, constants = options.modulation.constants.size();
  if (constants > 1 && constants != hidden)
    throw UsageError("modulation constant has " + std::to_string(constants) + " factors, but model '" + options.model +
                     "' has " + std::to_string(hidden) + " hidden layers: give one for all, or one each");
  nodes.push_back(signature.outputs);
  if (spiking) return std::make_unique<Snn>(options, std::move(nodes), signature, seed);
  return std::make_unique<Mlp>(options, std::move(nodes), seed);
}

}  // namespace grapes::nn
