#include "grapes/bench/baseline.h"
#include "grapes/bench/step.h"
#include "grapes/data/open.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace grapes::bench {
namespace {

using Inputs = nn::SnuOptions::Inputs;

/// Probability of a spike per example and input.
at::Tensor rates(const SnnCase& which) {
  if (which.input == "random") return at::full({which.batch, which.nodes.front()}, which.density, at::kFloat);
  data::Options options;
  options.data = which.input;
  options.download = false;
  return data::open(options, 1).train->get(at::arange(which.batch, at::kLong)).inputs.flatten(1);
}

nn::Encoding encoding(const SnnCase& which) { return {"bernoulli", which.steps, 1}; }

Step step_of(const SnnCase& which, const at::Tensor& rates, Inputs kernel) {
  // [batch, steps, in] of 0 and 1, time first in memory, as data::sequences stores them; or packed.
  const auto spikes = [&](bool packed) { return nn::encode(rates, encoding(which), 1, packed).transpose(0, 1); };
  const at::Tensor unpacked = spikes(false);
  Step step;
  step.labels.name = fmt::format("{}{}, T {}, {}", joined(which.nodes), which.recurrent ? ", recurrent" : "",
                                 which.steps, which.input);
  step.labels.batch = which.batch;
  step.labels.variant = kernel == Inputs::dense ? "dense" : "spikes";
  step.labels.optimizer = "sgd";
  step.labels.input = which.input;
  step.labels.density = unpacked.mean().item<double>();
  step.network.spiking.recurrent = which.recurrent;
  step.network.spiking.products = kernel;
  step.network.model = {"snn", {which.nodes.begin() + 1, which.nodes.end() - 1}};
  step.info.input_shape = {which.nodes.front()};
  step.info.outputs = which.nodes.back();
  step.info.sequence = true;
  if (which.recurrent) step.info.problem = data::ProblemKind::prediction;
  // Images are encoded as packed spikes if spikes are used as such; sequences are numbers.
  step.batch = {which.recurrent || kernel == Inputs::dense ? unpacked : spikes(true),
                which.recurrent ? unpacked.roll(1, 1).contiguous() : classes_in_turn(which.batch, which.nodes.back())};
  return step;
}

}  // namespace

std::vector<Timing> snn(const SnnCase& which, const Options& options) {
  const std::int64_t rows = which.steps * which.batch;
  std::vector<ProductShape> layers;
  for (std::size_t l = 1; l < which.nodes.size(); ++l) {
    layers.push_back({rows, which.nodes[l - 1], which.nodes[l], l > 1});
    if (which.recurrent && l + 1 < which.nodes.size()) layers.push_back({rows, which.nodes[l], which.nodes[l], true});
  }
  const at::Tensor x = rates(which);
  std::vector<Step> steps;
  for (const Inputs kernel : {Inputs::dense, Inputs::measured})
    for (const Step& step : under_both_rules(step_of(which, x, kernel))) steps.push_back(step);
  require_equal_to_reference(steps, {});
  Timing encoded = steps.front().labels;
  encoded.rule = "encode";
  encoded.variant = encoded.optimizer = "";
  return take_turns(
      [&] {
        Products alone = products(layers, at::kFloat);
        Group group{std::move(alone.run), arms(steps), true, std::move(alone.by)};
        if (!which.recurrent)
          group.arms.push_back({encoded, [x, how = encoding(which), seed = std::uint64_t{0}]() mutable {
                                  nn::encode(x, how, ++seed, true);
                                }});
        return group;
      },
      options);
}

std::vector<SnnCase> snn_cases(const std::string& input) {
  return {{.input = input}, {.nodes = {88, 150, 88}, .steps = 60, .batch = 16, .recurrent = true, .density = 4.0 / 88}};
}

}  // namespace grapes::bench
