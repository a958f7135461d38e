#include "grapes/exchange/checkpoint.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/exchange/array.h"
#include "grapes/exchange/metadata.h"
#include "grapes/exchange/nir.h"
#include "grapes/exchange/spiking_model.h"
#include "grapes/exchange/weights.h"
#include "grapes/experiment/toml.h"
#include "grapes/train/state.h"

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace grapes::exchange {
namespace {

const nir::Array& entry(const nir::Graph& graph, const std::string& name, const std::string& file) {
  const auto found = graph.metadata.find(name);
  if (found == graph.metadata.end()) throw DataError(file + ": the entry '" + name + "' of its metadata is missing");
  return found->second;
}

/// Returns the shift or the scale of the inputs; undefined if there is none.
at::Tensor of_inputs(const nir::Graph& graph, const std::string& name, const data::DatasetInfo& info,
                     const std::string& file) {
  const auto found = graph.metadata.find(name);
  if (found == graph.metadata.end()) return {};
  const at::Tensor numbers = found->second.is_text() ? at::Tensor() : tensor_of(found->second);
  const auto fits = [&] {
    try {
      return at::infer_size(numbers.sizes(), info.input_shape) == info.input_shape;
    } catch (const c10::Error&) {
      return false;
    }
  };
  if (!numbers.defined() || !fits())
    throw DataError(file + ": the entry '" + name + "' of its metadata must be numbers with the shape of the inputs, " +
                    nir::shape_text(info.input_shape) + "; got " +
                    (numbers.defined() ? nir::shape_text(found->second.shape) : "text"));
  return numbers;
}

/// Creates the model of a net, with the net's weights.
void make_model(Import& made, const SpikingNet& net, const std::string& file) {
  made.model = nn::make_network(made.config.network, train::signature_of(made.info), made.config.training.seed);
  fill(*made.model, made.config.network, net, file);
}

}  // namespace

Export graph_of(const experiment::Loaded& loaded, double dt, bool approximate) {
  Export made;
  const nn::Options& network = loaded.config.network;
  made.graph = to_nir(net_of(*loaded.model, network, train::signature_of(loaded.info), approximate, made.replaced), dt);
  experiment::Config config = loaded.config;
  nir::Fields& metadata = made.graph.metadata;
  if (!made.replaced.empty()) {
    std::vector<std::string> again;
    config.network = nearest(network, again);
    metadata["approximations"] = nir::text(join(made.replaced, "; "));
  }
  metadata["config"] = nir::text(experiment::to_toml(config));
  metadata["dataset"] = nir::text(experiment::to_json(loaded.info).dump());
  if (loaded.normalization.shift.defined()) metadata["input_shift"] = array_of(loaded.normalization.shift);
  if (loaded.normalization.scale.defined()) metadata["input_scale"] = array_of(loaded.normalization.scale);
  return made;
}

Import checkpoint_of(const nir::Graph& graph, const std::string& file) {
  const SpikingNet net = from_nir(graph, 0, file);
  Import made;
  made.config = config_in(nir::text_of(entry(graph, "config", file)), file);
  made.info = info_in(nir::text_of(entry(graph, "dataset", file)), file);
  made.normalization.shift = of_inputs(graph, "input_shift", made.info, file);
  made.normalization.scale = of_inputs(graph, "input_scale", made.info, file);
  make_model(made, net, file);
  return made;
}

Import checkpoint_of(const nir::Graph& graph, double dt, const Reading& reading, experiment::Config config,
                     const data::Splits* splits, const std::string& file) {
  const SpikingNet net = from_nir(graph, dt, file, reading);
  Import made{std::move(config), {}, {}, nullptr};
  made.config.network = options_of(net, made.config.network, file);
  experiment::check(made.config);
  const bool each_step = answers_each_step(net);
  const std::int64_t outputs = outputs_of(net);
  if (splits != nullptr) {
    made.info = splits->info;
    made.normalization = splits->normalization;
    const nn::Signature asked = train::signature_of(made.info);
    const std::int64_t inputs = nir::count(asked.input_shape);
    if (inputs != nir::count(net.input) || asked.outputs != outputs || asked.each_step != each_step)
      throw DataError(fmt::format("{} has {} inputs and {} outputs{}, but {} has {} and {}{}", file,
                                  nir::count(net.input), outputs, each_step ? " at every step" : "", splits->name,
                                  inputs, asked.outputs, asked.each_step ? " at every step" : ""));
  } else {
    made.info = numbered_classes(net.input, outputs);
    made.info.problem = each_step ? data::ProblemKind::prediction : data::ProblemKind::classification;
    made.info.sequence = each_step;
  }
  make_model(made, net, file);
  return made;
}

}  // namespace grapes::exchange
