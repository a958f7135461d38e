#include "grapes/base/error.h"
#include "grapes/exchange/metadata.h"
#include "grapes/exchange/onnx.h"
#include "grapes/exchange/onnx_chain.h"
#include "grapes/exchange/weights.h"
#include "grapes/nn/plan.h"
#include "grapes/train/state.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace grapes::exchange {
namespace {

using LayerNumbers = std::vector<OnnxLayer>;

/// Returns an entry of the metadata of a file that Grapes wrote, or null. Other programs give the names other meanings.
const std::string* own_entry(const onnx::Model& model, const char* name) {
  const auto found = model.metadata.find(name);
  return model.producer == "grapes" && found != model.metadata.end() ? &found->second : nullptr;
}

/// Returns the shape of an example that the graph or the data fix.
std::vector<std::int64_t> input_shape(const OnnxChain& chain, const data::DatasetInfo* info, const std::string& file) {
  std::vector<std::int64_t> shape = chain.input.shape;
  if (info != nullptr) {
    const std::vector<std::int64_t>& given = info->input_shape;
    if (!std::ranges::equal(given, shape, [](std::int64_t a, std::int64_t b) { return a == b || b < 0; }))
      throw DataError(fmt::format("{} takes inputs of the shape {}, but those of the data have {}", file,
                                  onnx::shape_text(shape), onnx::shape_text(given)));
    shape = given;
  }
  // The weights of a dense layer fix the number of values of a vector.
  if (shape.size() == 1 && shape[0] < 0 && chain.layers[0].weight.dim() == 2) shape[0] = chain.layers[0].weight.size(1);
  if (std::ranges::any_of(shape, [](std::int64_t size) { return size < 1; }))
    throw DataError(file + ": the file does not fix the size of an example, " + onnx::shape_text(shape) +
                    ": give the data with --data");
  if (!onnx::elements(shape))
    throw DataError(file + ": an example of the shape " + onnx::shape_text(shape) +
                    " is too large; expected fewer than 2^31 numbers");
  return shape;
}

bool is_classification(const OnnxChain& chain, std::int64_t outputs) {
  return chain.output == "softmax" || (outputs > 1 && !chain.target_mean.defined());
}

/// Describes the data, by the metadata or else by the graph.
data::DatasetInfo described(const onnx::Model& model, const OnnxChain& chain, std::int64_t outputs,
                            const std::string& file) {
  if (const std::string* text = own_entry(model, "dataset")) return info_in(*text, file);
  data::DatasetInfo info = numbered_classes(input_shape(chain, nullptr, file), outputs);
  if (!is_classification(chain, outputs)) info.problem = data::ProblemKind::regression;
  return info;
}

std::vector<double> doubles(const at::Tensor& values) {
  if (!values.defined()) return {};
  const at::Tensor all = values.to(at::kDouble).contiguous();
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

/// Normalizations stay if every convolution has one; else they become part of the weights, as those of dense layers do.
bool keeps_norm(const LayerNumbers& layers) {
  const auto spatial = [](const OnnxLayer& layer) { return layer.weight.dim() == 4; };
  return std::ranges::any_of(layers, spatial) &&
         std::ranges::all_of(layers, [&](const OnnxLayer& layer) { return !spatial(layer) || layer.scale.defined(); });
}

/// The kind of the normalizations that stay. @param given  that of the configuration
nn::Norm norm_of(const LayerNumbers& layers, nn::Norm given) {
  const auto same = [](const at::Tensor& all) { return all.eq(all[0]).all().item<bool>(); };
  const bool together = std::ranges::all_of(layers, [&](const OnnxLayer& layer) {
    return !layer.scale.defined() || (same(layer.mean) && same(layer.variance));
  });
  return given == nn::Norm::tensor && together ? given : nn::Norm::batch;
}

nn::Precision precision_of(const LayerNumbers& layers, nn::Precision given) {
  const OnnxLayer& first = layers[0];
  const bool twice =
      std::ranges::all_of(layers, [](const OnnxLayer& layer) { return layer.weight.scalar_type() == at::kDouble; });
  if (!first.weights && !first.inputs) {
    if (!given.has_formats() && !twice) return given;
    nn::Precision precision;
    if (twice) precision.dtype = at::kDouble;
    return precision;
  }
  if (given.weights.nearest() == first.weights && given.activations.nearest() == first.inputs) return given;
  nn::Precision precision;
  precision.weights = first.weights;
  precision.activations = first.inputs;
  // Weights between the numbers of the format are a copy that updates are added to.
  const bool stored = std::ranges::all_of(layers, [](const OnnxLayer& layer) {
    return at::equal(layer.weight, kernels::rounded(layer.weight, layer.weights, 0, 0));
  });
  if (stored) precision.master = precision.weights;
  return precision;
}

/// Sets the scale of the targets.
/// @param ours  keep the float64 scale of the metadata if the graph's float32 scale equals it
void set_targets(data::DatasetInfo& info, const OnnxChain& chain, bool ours) {
  const auto agrees = [](const at::Tensor& in_graph, const std::vector<double>& known) {
    return !in_graph.defined() || at::equal(in_graph.to(at::kFloat), at::tensor(known, at::kDouble).to(at::kFloat));
  };
  if (ours && agrees(chain.target_mean, info.target_mean) && agrees(chain.target_deviation, info.target_deviation))
    return;
  info.target_mean = doubles(chain.target_mean);
  info.target_deviation = doubles(chain.target_deviation);
}

void set_outputs(experiment::Config& config, const OnnxChain& chain, const data::DatasetInfo& info) {
  const std::string known = train::criterion_of(config.network, config.training, info).output();
  if (chain.output.empty() || chain.output == known) return;
  config.network.output = chain.output == "softmax" ? "auto" : chain.output;
  config.training.loss = chain.output == "softmax" ? "auto" : "mse";
}

/// Compares the weights with what comes before them, so that no network of another size is made.
void check_sizes(const nn::Plan& plan, const nn::Stages& stages, const LayerNumbers& layers) {
  auto layer = layers.begin();
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const nn::Stage& stage = stages[i];
    if (!stage.is_layer()) continue;
    const nn::Map& in = plan.stages[i].in;
    const std::vector<std::int64_t> expected = stage.what == nn::Stage::Do::dense
                                                   ? std::vector{stage.units, in.values()}
                                                   : std::vector{stage.units, in.channels, stage.kernel, stage.kernel};
    if (layer->weight.sizes() != expected)
      throw DataError(fmt::format("{} has weights of the shape [{}]; at this place they must be [{}]", layer->where,
                                  fmt::join(layer->weight.sizes(), ", "), fmt::join(expected, ", ")));
    ++layer;
  }
}

void fill(nn::Network& model, const LayerNumbers& layers) {
  const at::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> places;
  for (const auto& list : {model.parameters(), model.buffers()})
    for (const nn::Named& one : list) places[one.name] = one.value;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const OnnxLayer& layer = layers[l];
    for (const auto& [what, value] :
         {std::pair("weight", layer.weight), std::pair("bias", layer.bias), std::pair("scale", layer.scale),
          std::pair("shift", layer.shift), std::pair("mean", layer.mean), std::pair("variance", layer.variance)}) {
      const auto place = places.find(fmt::format("layers.{}.{}", l, what));
      if (place == places.end()) continue;
      at::Tensor into = place->second;
      if (!value.defined())
        into.zero_();
      else
        into.copy_(value.sizes() == into.sizes() ? value : value[0]);  // a statistic of all channels: see norm_of()
    }
  }
}

}  // namespace

experiment::Config config_of(const onnx::Model& model, const std::string& file) {
  if (const std::string* text = own_entry(model, "config")) return config_in(*text, file);
  experiment::Config config;
  config.data.normalize = "unit";  // nobody has scaled the inputs and targets of another program's network
  return config;
}

Import from_onnx(const onnx::Model& model, experiment::Config config, const data::Splits* splits,
                 const std::string& file) {
  OnnxChain chain = chain_of(model.graph, file);
  const std::int64_t outputs = chain.layers.back().weight.size(0);
  Import made;
  made.config = std::move(config);
  made.info = splits != nullptr ? splits->info : described(model, chain, outputs, file);
  made.info.input_shape = input_shape(chain, &made.info, file);
  made.normalization = chain.input.normalization(made.info.input_shape);
  if (splits != nullptr && chain.input.steps.empty()) made.normalization = splits->normalization;
  if (made.info.outputs != outputs)
    throw DataError(fmt::format("{} has {} outputs, but the data have {}", file, outputs, made.info.outputs));
  set_targets(made.info, chain, splits == nullptr);

  nn::Options& network = made.config.network;
  const nn::Signature signature = train::signature_of(made.info);
  const bool norm = keeps_norm(chain.layers);
  if (!norm)
    for (OnnxLayer& layer : chain.layers) layer.fold();
  network.norm = norm ? norm_of(chain.layers, network.norm) : nn::Norm::none;
  network.model = nn::model_with(chain.stages, signature);
  if (!chain.activation.empty()) network.activation = chain.activation;
  network.bias = std::ranges::any_of(chain.layers, [](const OnnxLayer& layer) { return layer.bias.defined(); });
  network.precision = precision_of(chain.layers, network.precision);
  set_outputs(made.config, chain, made.info);
  try {
    experiment::check(made.config);
    const nn::Stages stages = nn::stages_of(network.model, signature);
    check_sizes(nn::plan(network, stages, signature), stages, chain.layers);
    made.model = nn::make_network(network, signature, made.config.training.seed);
  } catch (const UsageError& error) {
    throw DataError(file + ": no model of Grapes computes it: " + error.what());
  }
  fill(*made.model, chain.layers);
  return made;
}

}  // namespace grapes::exchange
