#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/exchange/spiking_model.h"
#include "grapes/nn/plan.h"
#include "grapes/nn/readout.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace grapes::exchange {
namespace {

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
      {"an adaptive threshold (alif)", [](const Neurons& n) { return n.adaptation() != 0; },
       [](Options& o) { o.neuron = "lif"; }, "a fixed one"},
      {"a refractory period", [](const Neurons& n) { return n.refractory() > 0; }, [](Options& o) { o.refractory = 0; },
       "none"},
  };
  return rows;
}

std::map<std::string, at::Tensor> by_name(const nn::Network& model) {
  std::map<std::string, at::Tensor> all;
  for (const nn::Named& parameter : model.parameters()) all[parameter.name] = parameter.value.detach().to(at::kCPU);
  for (const nn::Named& buffer : model.buffers()) all[buffer.name] = buffer.value.to(at::kCPU);
  return all;
}

/// Shape of an example at one time step.
std::vector<std::int64_t> nir_inputs(const nn::Stages& stages, const nn::Signature& signature) {
  if (nn::takes_maps(stages)) return signature.input_shape;
  return {std::accumulate(signature.input_shape.begin(), signature.input_shape.end(), std::int64_t{1},
                          std::multiplies<>())};
}

/// Finds the tensors of a model's layers.
struct Making {
  SpikingNet& net;
  const nn::Options& options;
  const nn::SnuOptions& neurons;
  const std::map<std::string, at::Tensor>& values;
  nn::Plan plan;

  at::Tensor find(std::size_t l, const char* what) const {
    const auto found = values.find(fmt::format("layers.{}.{}", l, what));
    return found != values.end() ? found->second : at::Tensor();
  }
  std::vector<std::int64_t> shape_of(const nn::Map& map) const {
    if (map.positions() == 1 && net.input.size() == 1) return {map.channels};
    // After the first matrix, values are vectors.
    const bool flat =
        std::ranges::any_of(net.stages, [](const Stage& stage) { return std::holds_alternative<Linear>(stage.what); });
    return map.rows == 1 && map.columns == 1 && flat ? std::vector<std::int64_t>{map.channels}
                                                     : std::vector<std::int64_t>{map.channels, map.rows, map.columns};
  }
  /// A constant in the precision of the step, with the population's shape.
  at::Tensor constant(std::size_t l, const char* what, double fixed, const nn::Map& map) const {
    const at::Tensor learned = find(l, what);
    const at::TensorOptions placed = values.begin()->second.options();
    at::Tensor one = learned.defined() ? learned : at::full({1}, fixed, placed);
    if (one.numel() == map.channels) one = one.repeat_interleave(map.positions());
    return one.expand({map.values()}).reshape(shape_of(map)).contiguous();
  }
  Neurons population(std::size_t l, const nn::Map& map) const {
    Neurons all{constant(l, "decay", neurons.decay(), map), constant(l, "threshold", neurons.threshold(), map)};
    if (neurons.synapse() > 0) all.synapse = constant(l, "synapse", neurons.synapse(), map);
    all.recurrent = find(l, "recurrent");
    all.reset = neurons.rule().reset;
    if (all.reset == "hard" && (neurons.reset_value() != 0 || find(l, "reset_value").defined())) {
      all.reset_value = constant(l, "reset_value", neurons.reset_value(), map);
      if (all.reset_value.eq(0).all().item<bool>()) all.reset_value.reset();
    }
    return all;
  }
};

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
  const nn::Stages stages = nn::stages_of(options.model, signature);
  if (!nn::has_time(stages))
    throw UsageError("model '" + nn::to_string(options.model) +
                     "' has no spiking neurons; only spiking models can be exported to NIR");
  if (nn::has(stages, nn::Stage::Do::keep) || nn::has(stages, nn::Stage::Do::max_pool))
    throw UsageError("model '" + nn::to_string(options.model) + "': " +
                     (nn::has(stages, nn::Stage::Do::keep) ? "residual sums are not exported to NIR"
                                                           : "NIR has no node for max pooling"));
  if (options.norm != nn::Norm::none)
    throw UsageError("model '" + nn::to_string(options.model) + "': NIR has no node for a normalization");
  const auto lacking = [&](const std::string& reason) {
    if (!approximate) throw UsageError("approximate", "is needed, because NIR has no node for " + reason);
  };
  for (const Lack& lack : lacks())
    if (lack.there(nn::neurons_of(options.spiking))) lacking(lack.reason);
  const nn::SnuOptions neurons = nn::neurons_of(nearest(options, replaced).spiking);
  const auto values = by_name(model);
  const bool shows_membrane =
      !signature.each_step && find_row(nn::readouts(), "readout", options.spiking.readout).membrane;
  SpikingNet net;
  net.input = {nir_inputs(stages, signature)};
  Making making{net, options, neurons, values, nn::plan(options, stages, signature)};
  const std::size_t layers = model.weights().size();
  std::size_t l = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const nn::Stage& stage = stages[i];
    const nn::StagePlan& sizes = making.plan.stages[i];
    using Do = nn::Stage::Do;
    const std::string number = std::to_string(l);
    if (stage.what == Do::average || stage.what == Do::sum) {
      const std::int64_t rows = stage.pool > 0 ? stage.pool : sizes.in.rows,
                         columns = stage.pool > 0 ? stage.pool : sizes.in.columns;
      net.stages.push_back(
          {fmt::format("pool_{}", i), Pooling{stage.what == Do::average, {rows, columns}, {rows, columns}}});
    } else if (stage.what == Do::delay) {
      net.stages.push_back({fmt::format("delay_{}", i),
                            Delay{at::full(making.shape_of(sizes.out), stage.units, at::TensorOptions(at::kLong))}});
    } else if (stage.what == Do::convolve) {
      net.stages.push_back({"layer_" + number, Convolution{making.find(l, "weight"),
                                                           making.find(l, "bias"),
                                                           {stage.stride, stage.stride},
                                                           {stage.padding, stage.padding},
                                                           {stage.dilation, stage.dilation},
                                                           stage.groups}});
      ++l;
    } else if (stage.what == Do::fire) {
      net.stages.push_back({fmt::format("neurons_{}", l - 1), making.population(l - 1, sizes.out)});
    } else if (stage.what == Do::dense || stage.what == Do::spike) {
      if (making.shape_of(sizes.in).size() > 1) net.stages.push_back({"flatten_" + number, Flatten{}});
      net.stages.push_back({"layer_" + number, Linear{making.find(l, "weight"), making.find(l, "bias")}});
      if (stage.what == Do::spike) {
        Neurons population = making.population(l, sizes.out);
        if (l + 1 == layers && shows_membrane) {
          if (population.resets() && !population.threshold.ge(never).all().item<bool>()) {
            const std::string reason =
                "a readout of a membrane that its spikes reset (readout " + options.spiking.readout + ")";
            lacking(reason);
            replaced.push_back(reason + " was replaced by one without spikes");
          }
          if (population.resets()) population.threshold.reset();
          population.reset = "none";
          population.spikes = false;
          population.reset_value.reset();
        }
        net.stages.push_back({"neurons_" + number, std::move(population)});
      }
      ++l;
    }
  }
  return net;
}

}  // namespace grapes::exchange
