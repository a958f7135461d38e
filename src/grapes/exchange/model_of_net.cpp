#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/exchange/spiking_model.h"
#include "grapes/nn/readout.h"
#include "grapes/nn/words.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>

namespace grapes::exchange {
namespace {

[[noreturn]] void refuse(const std::string& file, const Stage& stage, const std::string& why) {
  throw DataError(file + ": node '" + stage.name + "': " + why);
}

/// One layer of a net that a model supports: W, and its neurons unless it computes the logits of a step.
struct SpikingLayer {
  const Stage* stage;
  const Linear* linear = nullptr;
  const Convolution* convolution = nullptr;
  const Neurons* neurons = nullptr;

  const at::Tensor& weight() const { return linear != nullptr ? linear->weight : convolution->weight; }
  const at::Tensor& bias() const { return linear != nullptr ? linear->bias : convolution->bias; }
};

constexpr const char* run_instead = "; grapes nir run computes this network";

std::int64_t square(const std::string& file, const Stage& stage, const std::array<std::int64_t, 2>& sides,
                    const char* what) {
  if (sides[0] != sides[1])
    refuse(file, stage,
           fmt::format("a model of Grapes needs a square {}; got {} × {}{}", what, sides[0], sides[1], run_instead));
  return sides[0];
}

/// The stage of the model `spiking` for a convolution, a pool or a delay.
nn::Stage stage_of(const std::string& file, const Stage& stage, const Convolution& c) {
  nn::Stage made{nn::Stage::Do::convolve, c.weight.size(0)};
  made.kernel = square(file, stage, {c.weight.size(2), c.weight.size(3)}, "kernel");
  made.stride = square(file, stage, c.stride, "stride");
  made.padding = square(file, stage, c.padding, "padding");
  made.dilation = square(file, stage, c.dilation, "dilation");
  made.groups = c.groups;
  return made;
}

nn::Stage stage_of(const std::string& file, const Stage& stage, const Pooling& pool) {
  if (pool.window != pool.stride || pool.padding != std::array<std::int64_t, 2>{0, 0})
    refuse(file, stage,
           fmt::format("pooling windows of a model of Grapes do not overlap and are not padded{}", run_instead));
  nn::Stage made{pool.mean ? nn::Stage::Do::average : nn::Stage::Do::sum};
  made.pool = square(file, stage, pool.window, "window");
  return made;
}

nn::Stage stage_of(const std::string& file, const Stage& stage, const Delay& delay) {
  if (!delay.steps.eq(delay.steps.flatten()[0]).all().item<bool>())
    refuse(file, stage,
           fmt::format("all units of a layer must have the same delay in a model of Grapes{}", run_instead));
  return {nn::Stage::Do::delay, delay.steps.flatten()[0].item<std::int64_t>()};
}

/// A net as layers with weights, and as words of the model `spiking` for everything before the outputs.
struct Chain {
  std::vector<SpikingLayer> layers;
  std::vector<std::string> words;
  bool dense = true;  ///< only matrices and their neurons
};

Chain chain_of(const SpikingNet& net, const std::string& file) {
  Chain chain;
  std::vector<SpikingLayer>& layers = chain.layers;
  for (const Stage& stage : net.stages) {
    const bool open = !layers.empty() && layers.back().neurons == nullptr;
    const auto weights = [&](SpikingLayer layer, std::string word) {
      if (open)
        refuse(file, stage,
               "two matrices without neurons between them; models of Grapes have neurons after each matrix");
      layers.push_back(layer);
      chain.words.push_back(std::move(word));
    };
    if (const auto* linear = std::get_if<Linear>(&stage.what)) {
      weights({&stage, linear}, std::to_string(linear->weight.size(0)));
    } else if (const auto* c = std::get_if<Convolution>(&stage.what)) {
      weights({&stage, nullptr, c}, nn::spiking_word_of(stage_of(file, stage, *c)));
      chain.dense = false;
    } else if (const auto* neurons = std::get_if<Neurons>(&stage.what)) {
      if (!open)
        refuse(file, stage, "neurons without weights before them; models of Grapes have weights before all neurons");
      layers.back().neurons = neurons;
      layers.back().stage = &stage;
    } else if (const auto* pool = std::get_if<Pooling>(&stage.what)) {
      const std::string word = nn::spiking_word_of(stage_of(file, stage, *pool));
      if (open && layers.back().linear != nullptr)
        refuse(file, stage, "a pool must not be between a matrix and its neurons");
      if (open)
        chain.words.back() += "-" + word;
      else
        chain.words.push_back(word);
      chain.dense = false;
    } else if (const auto* delay = std::get_if<Delay>(&stage.what)) {
      if (open) refuse(file, stage, "a delay must not be between weights and their neurons");
      chain.words.push_back(nn::spiking_word_of(stage_of(file, stage, *delay)));
      chain.dense = false;
    }  // a Flatten changes no number
  }
  if (layers.empty()) throw DataError(file + ": expected at least one layer with weights");
  if (net.stages.empty() || layers.back().linear == nullptr ||
      (chain.words.back() != std::to_string(layers.back().linear->weight.size(0))))
    refuse(file, *layers.back().stage, "the last layer must be a matrix, with neurons or without");
  chain.words.pop_back();  // the outputs follow from the data
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const SpikingLayer& layer = layers[l];
    const bool last = l + 1 == layers.size();
    if (layer.neurons == nullptr) continue;
    if (!last && !layer.neurons->spikes)
      refuse(file, *layer.stage, "a hidden layer must output spikes, but this one outputs its membrane");
    if (last && layer.neurons->recurrent.defined())
      refuse(file, *layer.stage, "recurrent connections between output neurons are not supported");
    if (layer.convolution != nullptr && layer.neurons->recurrent.defined())
      refuse(file, *layer.stage, "recurrent connections of a convolution are not supported");
    const Neurons& first = *layers[0].neurons;
    if (layer.neurons->reset != first.reset && !(last && !layer.neurons->spikes))
      refuse(file, *layer.stage, "either all layers must reset or none");
  }
  return chain;
}

/// Whether a constant is defined in every layer and has one value, or in none.
bool one_value(const std::vector<SpikingLayer>& layers, at::Tensor Neurons::*constant) {
  std::optional<double> value;
  bool some = false, all = true;
  for (const SpikingLayer& layer : layers) {
    if (layer.neurons == nullptr) continue;
    const at::Tensor& one = layer.neurons->*constant;
    (one.defined() ? some : all) = one.defined();
    if (!one.defined()) continue;
    const double first = one.flatten()[0].item<double>();
    if (!one.eq(value.value_or(first)).all().item<bool>()) return false;
    value = first;
  }
  return all || !some;
}

}  // namespace

bool answers_each_step(const SpikingNet& net) {
  return !net.stages.empty() && std::holds_alternative<Linear>(net.stages.back().what);
}

std::int64_t outputs_of(const SpikingNet& net) {
  for (auto stage = net.stages.rbegin(); stage != net.stages.rend(); ++stage)
    if (const auto* linear = std::get_if<Linear>(&stage->what)) return linear->weight.size(0);
  return 0;
}

nn::Options options_of(const SpikingNet& net, nn::Options options, const std::string& file) {
  const Chain chain = chain_of(net, file);
  const std::vector<SpikingLayer>& layers = chain.layers;
  const auto any = [&](auto holds) { return std::ranges::any_of(layers, holds); };
  const auto any_neurons = [&](at::Tensor Neurons::*constant) {
    return any([&](const SpikingLayer& layer) { return layer.neurons && (layer.neurons->*constant).defined(); });
  };
  const auto first = std::ranges::find_if(layers, [](const SpikingLayer& layer) { return layer.neurons != nullptr; });
  if (first == layers.end()) throw DataError(file + ": it has no neurons, so it is not a spiking network");
  nn::SpikingOptions& spiking = options.spiking;
  const bool dense = chain.dense && layers.size() > 1 && net.input.size() == 1;
  options.model = {dense ? "snn" : "spiking", {}};
  for (std::size_t l = 0; dense && l + 1 < layers.size(); ++l)
    options.model.widths.push_back(layers[l].weight().size(0));
  if (!dense) options.model.layers = chain.words;
  options.bias = any([](const SpikingLayer& layer) {
    return layer.bias().defined() && (layer.neurons == nullptr || !layer.bias().eq(0).all().item<bool>());
  });
  options.precision.dtype = layers[0].weight().scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  spiking.neuron = any_neurons(&Neurons::synapse) ? "cuba-lif" : "lif";
  spiking.reset = first->neurons->reset;
  spiking.recurrent = any_neurons(&Neurons::recurrent);
  spiking.learn_threshold = true;
  spiking.learn_decay = nn::SnuOptions::Decay::fixed;
  spiking.own_constants = !one_value(layers, &Neurons::decay) || !one_value(layers, &Neurons::synapse) ||
                          any_neurons(&Neurons::reset_value) || any([](const SpikingLayer& layer) {
                            if (layer.convolution == nullptr || layer.neurons == nullptr) return false;
                            const at::Tensor theta = layer.neurons->threshold.flatten(1);
                            return !theta.eq(theta.select(1, 0).unsqueeze(1)).all().item<bool>();
                          });
  const auto shared = [&](const at::Tensor& constant, double otherwise) {
    return constant.defined() && !spiking.own_constants ? constant.flatten()[0].item<double>() : otherwise;
  };
  const double decay = shared(first->neurons->decay, 0.8);
  if (decay == 1 && spiking.neuron == "lif")
    spiking.neuron = "if";
  else if (decay == 1)  // the key is below 1
    spiking.own_constants = true;
  else
    spiking.decay = decay;
  spiking.synapse = shared(first->neurons->synapse, 0.8);
  const bool shows_membrane = !answers_each_step(net) && !layers.back().neurons->spikes;
  if (shows_membrane != find_row(nn::readouts(), "readout", spiking.readout).membrane)
    spiking.readout = shows_membrane ? "last_membrane" : "mean_rate";
  return options;
}

void fill(nn::Network& model, const nn::Options& options, const SpikingNet& net, const std::string& file) {
  const at::NoGradGuard no_grad;
  const Chain chain = chain_of(net, file);
  const std::vector<SpikingLayer>& layers = chain.layers;
  const nn::SnuOptions neurons = nn::neurons_of(options.spiking);
  std::map<std::string, at::Tensor> places;
  for (const nn::Named& parameter : model.parameters()) places[parameter.name] = parameter.value;
  if (options.spiking.own_constants)
    for (const nn::Named& buffer : model.buffers())
      if (!buffer.name.ends_with("feedback")) places[buffer.name] = buffer.value;
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
        at::Tensor from = value;
        if (into.dim() == 1 && from.numel() != into.numel()) {  // a number for all, or one for each channel
          if (from.numel() % into.numel() == 0) from = from.reshape({into.numel(), -1});
          if (from.dim() != 2 || !from.eq(from.select(1, 0).unsqueeze(1)).all().item<bool>())
            differs(fmt::format("[{}]", fmt::join(into.sizes(), ", ")));
          from = from.select(1, 0);
        }
        if (from.numel() != into.numel()) differs(fmt::format("[{}]", fmt::join(into.sizes(), ", ")));
        into.copy_(from.reshape(into.sizes()));
        places.erase(place);
      } else if (!value.to(placed.dtype()).eq(at::full({1}, fixed, placed)).all().item<bool>()) {
        differs(shortest(fixed));
      }
    };
    put("weight", layer.weight());
    const std::int64_t nodes = layer.weight().size(0);
    const auto or_zero = [&](const at::Tensor& value, const at::Tensor& like) {
      return value.defined() ? value : at::zeros_like(like);
    };
    if (layer.bias().defined() || places.count(fmt::format("layers.{}.bias", l)) > 0)
      put("bias", layer.bias().defined() ? layer.bias() : at::zeros({nodes}, placed));
    if (layer.neurons == nullptr) continue;
    const Neurons& stage = *layer.neurons;
    put("decay", stage.decay, neurons.decay());
    put("threshold", stage.threshold.defined() ? stage.threshold : at::full_like(stage.decay, never),
        neurons.threshold());
    if (stage.recurrent.defined())
      put("recurrent", stage.recurrent);
    else if (places.count(fmt::format("layers.{}.recurrent", l)) > 0)
      put("recurrent", at::zeros({nodes, nodes}, placed));
    if (stage.synapse.defined() || neurons.synapse() > 0)
      put("synapse", or_zero(stage.synapse, stage.decay), neurons.synapse());
    if (stage.reset_value.defined() || neurons.reset_value() != 0 || options.spiking.own_constants)
      put("reset_value", or_zero(stage.reset_value, stage.decay), neurons.reset_value());
  }
  if (!places.empty())
    throw DataError(file + ": nothing in the graph corresponds to the model's '" + places.begin()->first + "'");
}

}  // namespace grapes::exchange
