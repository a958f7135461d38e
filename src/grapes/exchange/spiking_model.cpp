#include "grapes/exchange/spiking_model.h"

#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/nn/readout.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace grapes::exchange {
namespace {

/// Threshold of an output neuron that only outputs its membrane: it is never reached.
constexpr double never = std::numeric_limits<float>::max();

/// A property that NIR cannot express, and its replacement.
struct Lack {
  std::string reason;
  bool (*there)(const nn::SnuOptions& neurons);
  void (*replace)(nn::SpikingOptions& options);
  std::string instead;
};
const std::vector<Lack>& lacks() {
  using Neurons = nn::SnuOptions;
  using Options = nn::SpikingOptions;
  // Together they lead to a lif. ssnu also sets the output, so the membrane activation must be tested after it.
  static const std::vector<Lack> rows = {
      {"a soft output (ssnu)", [](const Neurons& n) { return n.rule().output != "step"; },
       [](Options& o) { o.neuron = "snu"; }, "the step"},
      {"a membrane activation relu or leaky_relu",
       [](const Neurons& n) { return n.rule().membrane_activation != "identity"; },
       [](Options& o) { o.membrane_activation = "identity"; }, "the identity"},
      {"lateral inhibition (reset lateral)", [](const Neurons& n) { return n.rule().reset == "lateral"; },
       [](Options& o) { o.reset = "hard"; }, "each neuron's own hard reset"},
      {"a soft reset (reset subtract)", [](const Neurons& n) { return n.rule().reset == "subtract"; },
       [](Options& o) { o.reset = "hard"; }, "the hard reset"},
  };
  return rows;
}

std::map<std::string, at::Tensor> by_name(const nn::Network& model) {
  std::map<std::string, at::Tensor> all;
  for (const nn::Named& parameter : model.parameters()) all[parameter.name] = parameter.value.detach().to(at::kCPU);
  return all;
}

/// One layer of a net that a model supports: W, and its neurons unless it computes the logits of a step.
struct SpikingLayer {
  const Stage* stage;
  const Linear* linear;
  const Neurons* neurons = nullptr;
};

[[noreturn]] void refuse(const std::string& file, const Stage& stage, const std::string& why) {
  throw DataError(file + ": node '" + stage.name + "': " + why);
}

std::vector<SpikingLayer> layers_of(const SpikingNet& net, const std::string& file) {
  std::vector<SpikingLayer> layers;
  if (net.input.size() != 1)
    throw DataError(
        file +
        ": its input has several axes, but models of Grapes take vectors of spikes; for convolutions of spikes use "
        "exchange::run in C++");
  for (const Stage& stage : net.stages) {
    const bool open = !layers.empty() && layers.back().neurons == nullptr;
    if (const auto* linear = std::get_if<Linear>(&stage.what)) {
      if (open)
        refuse(file, stage,
               "two matrices without neurons between them; models of Grapes have neurons after each matrix");
      layers.push_back({&stage, linear});
    } else if (const auto* neurons = std::get_if<Neurons>(&stage.what)) {
      if (!open)
        refuse(file, stage, "neurons without a matrix before them; models of Grapes have a matrix before all neurons");
      layers.back().neurons = neurons;
      layers.back().stage = &stage;
    } else {
      refuse(file, stage, "models of Grapes have no convolutions or pools of spikes; use exchange::run in C++");
    }
  }
  if (layers.size() < 2)
    throw DataError(
        fmt::format("{}: expected at least two layers, one hidden and one of outputs; got {}", file, layers.size()));
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const SpikingLayer& layer = layers[l];
    const bool last = l + 1 == layers.size();
    const bool biased = layer.linear->bias.defined() && !layer.linear->bias.eq(0).all().item<bool>();
    if (layer.neurons == nullptr) continue;
    if (biased) refuse(file, *layer.stage, "its current has a bias, which spiking layers of Grapes do not support");
    if (!last && !layer.neurons->spikes)
      refuse(file, *layer.stage, "a hidden layer must output spikes, but this one outputs its membrane");
    if (last && layer.neurons->recurrent.defined())
      refuse(file, *layer.stage, "recurrent connections between output neurons are not supported");
    const Neurons& first = *layers[0].neurons;
    if (layer.neurons->synapse != first.synapse)
      refuse(file, *layer.stage,
             "all layers must have the same synaptic decay; here it is " + shortest(layer.neurons->synapse) +
                 ", in the first layer " + shortest(first.synapse));
    if (layer.neurons->resets != first.resets && !(last && !layer.neurons->spikes))
      refuse(file, *layer.stage, "either all layers must reset or none");
  }
  return layers;
}

}  // namespace

nn::Options nearest(nn::Options options, std::vector<std::string>& replaced) {
  for (const Lack& lack : lacks()) {
    if (!lack.there(nn::neurons_of(options.spiking))) continue;
    lack.replace(options.spiking);
    replaced.push_back(lack.reason + " was replaced by " + lack.instead);
  }
  // Output units that must not spike have thresholds of their own.
  if (options.spiking.reset == "hard" && find_row(nn::readouts(), "readout", options.spiking.readout).membrane)
    options.spiking.learn_threshold = true;
  return options;
}

SpikingNet net_of(const nn::Network& model, const nn::Options& options, const nn::Signature& signature,
                  bool approximate, std::vector<std::string>& replaced) {
  if (options.model.name != "snn")
    throw UsageError("model '" + nn::to_string(options.model) +
                     "' has no spiking neurons; only snn:... can be exported to NIR");
  const auto lacking = [&](const std::string& reason) {
    if (!approximate) throw UsageError("approximate", "is needed: NIR has no node for " + reason);
  };
  for (const Lack& lack : lacks())
    if (lack.there(nn::neurons_of(options.spiking))) lacking(lack.reason);
  const nn::SnuOptions neurons = nn::neurons_of(nearest(options, replaced).spiking);
  const auto values = by_name(model);
  const bool shows_membrane =
      !signature.each_step && find_row(nn::readouts(), "readout", options.spiking.readout).membrane;
  SpikingNet net;
  net.input = {std::accumulate(signature.input_shape.begin(), signature.input_shape.end(), std::int64_t{1},
                               std::multiplies<>())};
  const std::size_t layers = model.weights().size();
  for (std::size_t l = 0; l < layers; ++l) {
    const std::string number = std::to_string(l);
    const auto find = [&](const char* what) {
      const auto found = values.find("layers." + number + "." + what);
      return found != values.end() ? found->second : at::Tensor();
    };
    const at::Tensor weight = find("weight");
    net.stages.push_back({"layer_" + number, Linear{weight, find("bias")}});
    const bool last = l + 1 == layers;
    if (last && signature.each_step) break;
    const std::int64_t nodes = weight.size(0);
    const auto per_node = [&](const at::Tensor& learned, double fixed) {
      return learned.defined() ? learned.expand({nodes}).contiguous() : at::full({nodes}, fixed, weight.options());
    };
    Neurons stage{per_node(find("decay"), neurons.decay()), per_node(find("threshold"), neurons.threshold())};
    // In the precision of the step.
    stage.synapse = weight.scalar_type() == at::kFloat ? static_cast<float>(neurons.synapse()) : neurons.synapse();
    stage.recurrent = find("recurrent");
    stage.resets = neurons.rule().reset == "hard";
    if (last && shows_membrane) {
      if (stage.resets && !stage.threshold.ge(never).all().item<bool>()) {
        const std::string reason =
            "a readout of a membrane that its spikes reset (readout " + options.spiking.readout + ")";
        lacking(reason);
        replaced.push_back(reason + " was replaced by one without spikes");
      }
      if (stage.resets) stage.threshold.reset();
      stage.resets = stage.spikes = false;
    }
    net.stages.push_back({"neurons_" + number, std::move(stage)});
  }
  return net;
}

bool answers_each_step(const SpikingNet& net) {
  return !net.stages.empty() && std::holds_alternative<Linear>(net.stages.back().what);
}

nn::Options options_of(const SpikingNet& net, nn::Options options, const std::string& file) {
  const std::vector<SpikingLayer> layers = layers_of(net, file);
  nn::SpikingOptions& spiking = options.spiking;
  options.model = {"snn", {}};
  for (std::size_t l = 0; l + 1 < layers.size(); ++l) options.model.widths.push_back(layers[l].linear->weight.size(0));
  options.bias = answers_each_step(net) && layers.back().linear->bias.defined();
  options.precision.dtype = layers[0].linear->weight.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  spiking.neuron = layers[0].neurons->synapse > 0 ? "cuba-lif" : "lif";
  spiking.synapse = layers[0].neurons->synapse;
  spiking.reset = layers[0].neurons->resets ? "hard" : "none";
  spiking.recurrent = std::ranges::any_of(
      layers, [](const SpikingLayer& layer) { return layer.neurons != nullptr && layer.neurons->recurrent.defined(); });
  spiking.learn_threshold = true;
  const double first = layers[0].neurons->decay.flatten()[0].item<double>();
  bool per_layer = true, same = first < 1;
  for (const SpikingLayer& layer : layers) {
    if (layer.neurons == nullptr) continue;
    per_layer = per_layer && layer.neurons->decay.eq(layer.neurons->decay.flatten()[0]).all().item<bool>();
    same = same && layer.neurons->decay.eq(first).all().item<bool>();
  }
  using Decay = nn::SnuOptions::Decay;
  spiking.learn_decay = same ? Decay::fixed : per_layer ? Decay::per_layer : Decay::per_node;
  if (same) spiking.decay = first;
  const bool shows_membrane = !answers_each_step(net) && !layers.back().neurons->spikes;
  if (shows_membrane != find_row(nn::readouts(), "readout", spiking.readout).membrane)
    spiking.readout = shows_membrane ? "last_membrane" : "mean_rate";
  return options;
}

void fill(nn::Network& model, const nn::Options& options, const SpikingNet& net, const std::string& file) {
  const at::NoGradGuard no_grad;
  const std::vector<SpikingLayer> layers = layers_of(net, file);
  const nn::SnuOptions neurons = nn::neurons_of(options.spiking);
  std::map<std::string, at::Tensor> places;
  for (const nn::Named& parameter : model.parameters()) places[parameter.name] = parameter.value;
  const at::TensorOptions placed = places.at("layers.0.weight").options().requires_grad(false);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const SpikingLayer& layer = layers[l];
    const auto put = [&](const char* what, const at::Tensor& value, double fixed = 0) {
      const auto place = places.find(fmt::format("layers.{}.{}", l, what));
      const auto differs = [&](const std::string& expected) {
        refuse(file, *layer.stage, fmt::format("{} must be that of the model, {}", what, expected));
      };
      if (place != places.end()) {
        at::Tensor into = place->second;
        const bool fits =
            value.sizes() == into.sizes() || (into.numel() == 1 && value.eq(value.flatten()[0]).all().item<bool>());
        if (!fits) differs(fmt::format("[{}]", fmt::join(into.sizes(), ", ")));
        into.copy_(value.sizes() == into.sizes() ? value : value.flatten()[0].view(into.sizes()));
        places.erase(place);
      } else if (!value.to(placed.dtype()).eq(at::full({1}, fixed, placed)).all().item<bool>()) {
        differs(shortest(fixed));
      }
    };
    put("weight", layer.linear->weight);
    if (layer.linear->bias.defined()) put("bias", layer.linear->bias);
    if (layer.neurons == nullptr) continue;
    const Neurons& stage = *layer.neurons;
    put("decay", stage.decay, neurons.decay());
    put("threshold", stage.threshold.defined() ? stage.threshold : at::full_like(stage.decay, never),
        neurons.threshold());
    const std::int64_t nodes = layer.linear->weight.size(0);
    if (stage.recurrent.defined())
      put("recurrent", stage.recurrent);
    else if (places.count(fmt::format("layers.{}.recurrent", l)) > 0)
      put("recurrent", at::zeros({nodes, nodes}, placed));
    if (!at::full({1}, stage.synapse, placed).equal(at::full({1}, neurons.synapse(), placed)))
      refuse(file, *layer.stage, "its synaptic decay must be that of the model, " + shortest(neurons.synapse()));
  }
  if (!places.empty())
    throw DataError(file + ": nothing in the graph corresponds to the model's '" + places.begin()->first + "'");
}

}  // namespace grapes::exchange
