#include "grapes/exchange/neurons.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/exchange/array.h"
#include "grapes/nn/lif.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace grapes::exchange {
namespace {

/// A parameter of one neuron. Defaults of old files are v_reset = 0 and w_in = 1.
using Parameter = std::function<double(const char* name)>;

/// A NIR neuron in a step of length dt: the unit's d, θ, α and ρ, the scale of its current, and its leak.
struct Unit {
  double decay, threshold, synapse, scale, rest = 0, leak = 0;
};
Unit unit_of(const nn::AsSnu& as, double leak = 0) {
  return {as.options.decay(), as.options.threshold(), as.options.synapse(), as.scale, as.options.reset_value(), leak};
}

struct Step {
  double dt;
  nn::Integrator integrator;
};

void require_zero(const Parameter& of, const char* name, const char* why) {
  if (of(name) != 0) throw DataError(std::string(name) + " must be 0, " + why + "; got " + shortest(of(name)));
}

struct Conversion {
  std::string type;
  bool fires;
  Unit (*convert)(const Parameter& of, const Step& step);
};
const std::vector<Conversion>& conversions() {
  static const char* const shown = "because the node outputs its membrane, which Grapes measures from v_leak";
  static const std::vector<Conversion> rows = {
      {"LIF", true,
       [](const Parameter& of, const Step& step) {
         return unit_of(nn::as_snu(nn::Lif{of("tau"), of("r"), of("v_leak"), of("v_threshold"), of("v_reset")}, step.dt,
                                   step.integrator),
                        of("v_leak"));
       }},
      {"CubaLIF", true,
       [](const Parameter& of, const Step& step) {
         return unit_of(nn::as_snu(nn::CubaLif{of("tau_syn"), of("tau_mem"), of("r"), of("v_leak"), of("v_threshold"),
                                               of("v_reset"), of("w_in")},
                                   step.dt, step.integrator),
                        of("v_leak"));
       }},
      {"IF", true,
       [](const Parameter& of, const Step& step) {
         return Unit{1, of("v_threshold"), 0, of("r") * step.dt, of("v_reset")};
       }},
      {"LI", false,
       [](const Parameter& of, const Step& step) {
         require_zero(of, "v_leak", shown);
         return unit_of(nn::as_snu(nn::Lif{of("tau"), of("r")}, step.dt, step.integrator));
       }},
      {"CubaLI", false,
       [](const Parameter& of, const Step& step) {
         require_zero(of, "v_leak", shown);
         return unit_of(nn::as_snu(nn::CubaLif{of("tau_syn"), of("tau_mem"), of("r"), 0, 1, 0, of("w_in")}, step.dt,
                                   step.integrator));
       }},
      {"I", false,
       [](const Parameter& of, const Step& step) {
         return Unit{1, 0, 0, of("r") * step.dt};
       }},
  };
  return rows;
}

const Conversion* conversion_of(const nir::Node& node) {
  const auto row = std::ranges::find(conversions(), node.type, &Conversion::type);
  return row != conversions().end() ? &*row : nullptr;
}

at::Tensor kept(const nir::Node& node, const char* what) {
  const auto found = node.metadata.find(what);
  return found != node.metadata.end() && !found->second.is_text() ? tensor_of(found->second) : at::Tensor();
}

/// Restores the exact d, α and θ, which tau and w_in have rounded. The parameters must agree with them.
void restore(const nir::Node& node, Population& population) {
  constexpr double tolerance = 1e-6;
  Neurons& neurons = population.neurons;
  const at::Tensor decay = kept(node, "decay"), synapse = kept(node, "synapse");
  const auto rests_at_0 = [&](const char* name) {
    const auto field = node.fields.find(name);
    return field == node.fields.end() || tensor_of(field->second).eq(0).all().item<bool>();
  };
  const auto same = [&](const at::Tensor& kept, const at::Tensor& read) {
    if (kept.defined() != read.defined()) return false;
    if (!kept.defined()) return true;
    return (kept.numel() == 1 || kept.sizes() == read.sizes()) &&
           at::allclose(kept.to(at::kDouble).expand_as(read), read, 0, tolerance);
  };
  if (!decay.defined() || decay.sizes() != neurons.decay.sizes() ||
      !at::allclose(decay.to(at::kDouble), neurons.decay, 0, tolerance) ||
      !at::allclose(population.scale, at::ones_like(population.scale), 0, tolerance) ||
      !same(synapse, neurons.synapse) || !rests_at_0("v_leak"))
    throw DataError(
        "its parameters contradict its metadata, so another program has changed one of the two; to use "
        "the parameters, remove the entry 'format' from the graph's metadata");
  neurons.decay = decay;
  if (synapse.defined()) neurons.synapse = synapse.expand_as(decay).contiguous();
  if (neurons.reset_value.defined()) neurons.reset_value = tensor_of(node.fields.at("v_reset"));
  neurons.leak.reset();
  neurons.threshold = neurons.spikes ? tensor_of(node.fields.at("v_threshold")) : kept(node, "threshold");
  population.scale.fill_(1);
}

}  // namespace

nir::Node node_of(const Neurons& neurons, double dt) {
  if (neurons.resets() && !neurons.spikes)
    throw UsageError("outputs a membrane that its spikes reset, which no node of NIR supports");
  if (neurons.recurrent.defined() && !neurons.spikes)
    throw UsageError("has recurrent spikes but outputs its membrane; a NIR node has only one output");
  const at::Tensor decays = neurons.decay.to(at::kDouble).contiguous();
  const at::Tensor thresholds =
      neurons.threshold.defined() ? neurons.threshold.to(at::kDouble).contiguous() : at::zeros_like(decays);
  const double *decay = decays.data_ptr<double>(), *threshold = thresholds.data_ptr<double>();
  const bool synapse = neurons.synapse.defined(), keeps_all = !synapse && decays.eq(1).all().item<bool>();
  const auto whole = [&](const at::Tensor& one) {
    return one.defined() ? one.to(at::kDouble).contiguous() : at::zeros_like(decays);
  };
  const at::Tensor synapses = whole(neurons.synapse), rests = whole(neurons.reset_value);
  if (neurons.reset == "subtract")
    throw UsageError("has a reset that subtracts the threshold, which no node of NIR supports");
  std::map<std::string, std::vector<double>> values;
  for (std::int64_t n = 0; n < decays.numel(); ++n) {
    if (keeps_all) {
      values["r"].push_back(1 / dt);
    } else if (!(decay[n] >= 0 && decay[n] < 1)) {
      throw UsageError(
          fmt::format("neuron {} has the decay {}, which has no time constant: it must be at least 0 and below 1{}", n,
                      shortest(decay[n]), synapse ? "" : ", or 1 in all neurons of the layer"));
    } else if (synapse) {
      const nn::CubaLif as = nn::as_cuba_lif(decay[n], threshold[n], synapses.data_ptr<double>()[n], dt);
      values["tau_mem"].push_back(as.tau_mem);
      values["tau_syn"].push_back(as.tau_syn);
      values["r"].push_back(as.r);
      values["w_in"].push_back(as.w_in);
    } else {
      const nn::Lif as = nn::as_lif(decay[n], threshold[n], dt);
      values["tau"].push_back(as.tau);
      values["r"].push_back(as.r);
    }
    if (!keeps_all) values["v_leak"].push_back(0);
    if (neurons.resets()) values["v_reset"].push_back(rests.data_ptr<double>()[n]);
  }
  nir::Node node{(keeps_all ? "I" : synapse ? "CubaLI" : "LI") + std::string(neurons.resets() ? "F" : ""), {}, {}};
  for (auto& [name, all] : values) node.fields[name] = {decays.sizes().vec(), std::move(all)};
  node.metadata["decay"] = array_of(neurons.decay);
  if (synapse) {
    const bool one = neurons.synapse.eq(neurons.synapse.flatten()[0]).all().item<bool>();
    node.metadata["synapse"] =
        one ? nir::number(neurons.synapse.flatten()[0].item<double>()) : array_of(neurons.synapse);
  }
  if (neurons.resets() && neurons.reset_value.defined()) node.fields["v_reset"] = array_of(neurons.reset_value);
  if (neurons.resets())
    node.fields["v_threshold"] = array_of(neurons.threshold);
  else if (!neurons.spikes && neurons.threshold.defined())
    node.metadata["threshold"] = array_of(neurons.threshold);
  return node;
}

bool is_population(const nir::Node& node) { return conversion_of(node) != nullptr; }

Population population_of(const nir::Node& node, double dt, nn::Integrator integrator, bool ours) {
  const Conversion& row = *conversion_of(node);
  const nir::Shape& shape = node.fields.at("r").shape;
  std::map<std::string, std::vector<double>> values;
  for (const auto& [name, array] : node.fields) values[name] = nir::numbers(array);
  std::vector<double> decay, threshold, scale, synapse, rest, leak;
  for (std::int64_t n = 0; n < nir::count(shape); ++n) {
    const Unit unit = row.convert(
        [&](const char* name) {
          const auto found = values.find(name);
          if (found != values.end()) return found->second[static_cast<std::size_t>(n)];
          return std::string_view(name) == "w_in" ? 1.0 : 0.0;
        },
        {dt, integrator});
    synapse.push_back(unit.synapse);
    rest.push_back(unit.rest);
    leak.push_back(unit.leak);
    decay.push_back(unit.decay);
    threshold.push_back(unit.threshold);
    scale.push_back(unit.scale);
  }
  const auto tensor = [&](const std::vector<double>& all) { return at::tensor(all, at::kDouble).reshape(shape); };
  const auto unless_zero = [&](const std::vector<double>& all) {
    const bool zero = std::ranges::all_of(all, [](double one) { return one == 0; });
    return zero ? at::Tensor() : tensor(all);
  };
  Population population{{tensor(decay), {}, {}, {}, row.fires ? "hard" : "none", row.fires}, tensor(scale)};
  if (row.type.starts_with("Cuba")) population.neurons.synapse = tensor(synapse);
  population.neurons.leak = unless_zero(leak);
  if (row.fires) {
    population.neurons.threshold = tensor(threshold);
    population.neurons.reset_value = unless_zero(rest);
  }
  if (ours) restore(node, population);
  return population;
}

}  // namespace grapes::exchange
