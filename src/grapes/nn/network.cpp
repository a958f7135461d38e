#include "grapes/nn/network.h"

#include "grapes/base/table.h"
#include "grapes/nn/cnn.h"
#include "grapes/nn/crossbars.h"
#include "grapes/nn/mlp.h"
#include "grapes/nn/snn.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace grapes::nn {
namespace {

void require_constants(const Options& options, std::size_t hidden) {
  const std::size_t constants = options.rule.constants.size();
  if (constants > 1 && constants != hidden)
    throw UsageError("modulation constant has " + std::to_string(constants) + " factors, but model '" + options.model +
                     "' has " + std::to_string(hidden) + " hidden layers: give one for all, or one each");
}

}  // namespace

const std::vector<Row>& models() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> all = {
        {"mlp", "mlp:N1,N2,...: dense layers with so many hidden nodes each"},
        {"snu", "snu:N1,N2,...: layers of spiking neurons over time, see the keys of the group spiking"},
        {"linear", "one dense layer from inputs to outputs"},
    };
    for (const ArchitectureRow& row : architectures()) all.push_back({row.name, row.summary});
    return all;
  }();
  return rows;
}

bool convolves(const std::string& model) {
  const std::string name = model.substr(0, model.find(':'));
  const auto& rows = architectures();
  return std::any_of(rows.begin(), rows.end(), [&](const ArchitectureRow& row) { return row.name == name; });
}

std::vector<kernels::Parameter> learning(const Network& model) {
  std::vector<kernels::Parameter> all;
  for (const Named& parameter : model.parameters())
    all.emplace_back(parameter.value, parameter.sums, parameter.storage);
  return all;
}

std::unique_ptr<Network> make_network(const Options& options, const Signature& signature, std::uint64_t seed) {
  const std::vector<std::int64_t>& input_shape = signature.input_shape;
  const std::size_t colon = options.model.find(':');
  const std::string name = options.model.substr(0, colon);
  find_row(models(), "model", name);
  std::vector<std::int64_t> nodes = {
      std::accumulate(input_shape.begin(), input_shape.end(), std::int64_t{1}, std::multiplies<>())};
  const bool spiking = name == "snu";
  if (signature.sequence && !spiking)
    throw UsageError("model '" + options.model + "': the examples are sequences, which only snu:N1,N2,... takes");
  if (!spiking && credit::route_of(options.rule).local_in_time)
    throw UsageError("route " + options.rule.route + " is for spiking networks; model is '" + options.model + "'");
  if (options.compatibility.dropout_in_evaluation && !convolves(options.model))
    throw UsageError("dropout-in-evaluation is for convolutional networks; model is '" + options.model + "'");
  if (options.recompute && !convolves(options.model))
    throw UsageError("recompute is for convolutional networks; model is '" + options.model + "'");
  if (options.norm != Norm::none && !convolves(options.model))
    throw UsageError("norm is for convolutional networks; model is '" + options.model + "'");
  if (options.analog && (spiking || convolves(options.model)))
    throw UsageError("analog: crossbars are for dense networks; model is '" + options.model + "'");
  if (convolves(options.model)) {
    const std::int64_t side = input_shape.size() == 3 ? input_shape[1] : 0;
    std::vector<Stage> stages = stages_of(options.model, side);
    require_constants(options, static_cast<std::size_t>(std::ranges::count_if(stages, is_layer)));
    return std::make_unique<Cnn>(options, std::move(stages), signature, seed);
  }
  if (name != "linear") {
    for (const std::int64_t width : widths_of(options.model)) nodes.push_back(width);
  } else if (colon != std::string::npos) {
    throw UsageError("model '" + options.model + "': linear takes no arguments");
  }
  require_constants(options, nodes.size() - 1);
  nodes.push_back(signature.outputs);
  if (spiking) return std::make_unique<Snn>(options, std::move(nodes), signature, seed);
  if (options.analog) return std::make_unique<Crossbars>(options, std::move(nodes), seed);
  return std::make_unique<Mlp>(options, std::move(nodes), seed);
}

}  // namespace grapes::nn
