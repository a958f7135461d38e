#include "grapes/credit/layers.h"

#include "grapes/base/table.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/modulation.h"

#include <torch/script.h>
#include <torch/torch.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace grapes::credit {
namespace {

/// "a.b" and "c" of "a.b.c"; nothing and all of it where there is no dot.
std::pair<std::string, std::string> split_last(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos ? std::pair(std::string(), name)
                                  : std::pair(name.substr(0, dot + 1), name.substr(dot + 1));
}

/// "a.bias_ih_l0" for ("a.weight_ih_l0", "weight_ih", "bias_ih"): the same parameter of another kind.
std::optional<std::string> renamed(const std::string& name, std::string_view from, std::string_view to) {
  auto [module, own] = split_last(name);
  if (own.compare(0, from.size(), from) != 0) return std::nullopt;
  // "weight_ih" must end there or go on with "_l0": "weight_ihx" is another word.
  if (own.size() > from.size() && own[from.size()] != '_') return std::nullopt;
  return module + std::string(to) + own.substr(from.size());
}

at::Tensor find(const Foreign& model, const std::optional<std::string>& name) {
  if (!name) return {};
  for (const auto& [key, value] : model.parameters)
    if (key == *name) return value;
  return {};
}

template <class... Types>
bool is_any(const torch::nn::Module& module) {
  return (... || (dynamic_cast<const Types*>(&module) != nullptr));
}

template <class Conv>
bool transposed(const torch::nn::Module& module, const std::string& prefix, Foreign& model) {
  const auto* conv = dynamic_cast<const Conv*>(&module);
  if (conv != nullptr) model.layouts[prefix + "weight"] = {1, conv->options.groups()};
  return conv != nullptr;
}

}  // namespace

Foreign foreign(const torch::nn::Module& model) {
  Foreign all;
  for (const auto& item : model.named_parameters()) all.parameters.emplace_back(item.key(), item.value());
  const auto look = [&](const std::string& name, const torch::nn::Module& module) {
    const std::string prefix = name.empty() ? "" : name + ".";
    transposed<torch::nn::ConvTranspose1dImpl>(module, prefix, all) ||
        transposed<torch::nn::ConvTranspose2dImpl>(module, prefix, all) ||
        transposed<torch::nn::ConvTranspose3dImpl>(module, prefix, all);
    if (is_any<torch::nn::EmbeddingImpl, torch::nn::EmbeddingBagImpl>(module))
      all.strange[prefix + "weight"] = "an embedding";
  };
  look("", model);
  // Not named_modules(): that needs a model that a shared_ptr holds, which one on the stack is not.
  const std::function<void(const std::string&, const torch::nn::Module&)> descend =
      [&](const std::string& prefix, const torch::nn::Module& module) {
        for (const auto& child : module.named_children()) {
          look(prefix + child.key(), *child.value());
          descend(prefix + child.key() + ".", *child.value());
        }
      };
  descend("", model);
  return all;
}

Foreign foreign(const torch::jit::Module& model) {
  Foreign all;
  for (const auto& item : model.named_parameters()) all.parameters.emplace_back(item.name, item.value);
  for (const auto& item : model.named_modules()) {
    if (!item.value.type()->name().has_value()) continue;
    const std::string type = item.value.type()->name()->name(), prefix = item.name.empty() ? "" : item.name + ".";
    if (type.rfind("ConvTranspose", 0) == 0)
      all.layouts[prefix + "weight"] = {1, item.value.hasattr("groups") ? item.value.attr("groups").toInt() : 1};
    if (type.rfind("Embedding", 0) == 0) all.strange[prefix + "weight"] = "an embedding";
  }
  return all;
}

std::vector<Layer> layers_of(const Foreign& model) {
  std::vector<Layer> layers;
  for (const auto& [name, value] : model.parameters) {
    if (!value.defined() || value.dim() < 2) continue;
    // The recurrent weights come with the input weights of their layer.
    if (find(model, renamed(name, "weight_hh", "weight_ih")).defined()) continue;
    const auto same = std::find_if(layers.begin(), layers.end(),
                                   [&, &value = value](const Layer& layer) { return layer.weight.is_same(value); });
    if (same != layers.end()) {
      same->names.push_back(name);
      continue;
    }
    Layer layer;
    layer.names = {name};
    layer.weight = value;
    layer.bias = find(model, renamed(name, "weight", "bias"));
    if (const auto found = model.layouts.find(name); found != model.layouts.end()) layer.layout = found->second;
    if (const auto found = model.strange.find(name); found != model.strange.end()) layer.strange = found->second;
    if (!value.is_floating_point()) layer.strange = "not of floating point";
    if (renamed(name, "weight_hr", "weight_hr")) layer.strange = "the projection of an LSTM";
    const auto recurrent = renamed(name, "weight_ih", "weight_hh");
    layer.recurrent = find(model, recurrent);
    if (layer.recurrent.defined()) {
      layer.recurrent_name = *recurrent;
      layer.recurrent_bias = find(model, renamed(name, "weight_ih", "bias_hh"));
      // An LSTM with projections feeds back fewer numbers than it has nodes.
      const at::Tensor projection = find(model, renamed(name, "weight_ih", "weight_hr"));
      const std::int64_t nodes = projection.defined() ? projection.size(1) : layer.recurrent.size(1);
      layer.gates = nodes > 0 && value.size(0) % nodes == 0 ? value.size(0) / nodes : 1;
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::string name_of(const Layer& layer) {
  return layer.recurrent_name.empty() ? layer.names[0] : layer.names[0] + " + " + layer.recurrent_name;
}

bool is_named(const Layer& layer, const std::string& name) {
  std::vector<std::string> own = layer.names;
  if (!layer.recurrent_name.empty()) own.push_back(layer.recurrent_name);
  return std::any_of(own.begin(), own.end(), [&](const std::string& full) {
    return full == name || (full.size() > name.size() && full.compare(0, name.size(), name) == 0 &&
                            full[name.size()] == '.' && !name.empty());
  });
}

bool is_listed(const Layer& layer, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return is_named(layer, name); });
}

void require_names(const std::vector<Layer>& layers, const std::vector<std::string>& names, const std::string& what) {
  for (const std::string& name : names) {
    std::vector<std::string> known;
    for (const Layer& layer : layers) {
      known.insert(known.end(), layer.names.begin(), layer.names.end());
      if (const std::string module = split_last(layer.names[0]).first; !module.empty())
        known.push_back(module.substr(0, module.size() - 1));
    }
    TORCH_CHECK(std::any_of(layers.begin(), layers.end(), [&](const Layer& layer) { return is_named(layer, name); }),
                what, " must name layers of the model; got '", name, "'", did_you_mean(name, known),
                "; there are: ", join(known, ", "));
  }
}

at::Tensor layer_factor(const Layer& layer, const Layout& layout, const FactorOptions& options, std::size_t number,
                        std::int64_t batch) {
  const at::NoGradGuard no_grad;
  const Modulation& modulation = find_row(modulations(), "modulation", options.modulation);
  if (modulation.transform == nullptr) return {};

  at::Tensor r;
  if (layout.groups > 1) {
    // [input, node / groups, ...]: inputs of one group reach the nodes of that group only.
    const at::Tensor& W = layer.weight;
    const at::Tensor magnitude = W.detach().abs().flatten(1);
    r = magnitude.view({layout.groups, W.size(0) / layout.groups, W.size(1), -1}).sum({1, 3}).flatten();
  } else {
    const bool both = layer.recurrent.defined() && !options.input_only;
    r = responsibility(layer.weight, both ? OptionalTensor(layer.recurrent) : OptionalTensor(), layout.axis);
  }

  Random random(stream_seed(options.seed, "shuffled", static_cast<std::uint64_t>(batch), number));
  double constant = 1;
  if (!options.constants.empty()) constant = options.constants[std::min(number, options.constants.size() - 1)];
  const auto shaped = [&](const at::Tensor& of) {
    try {
      return modulation.transform(factor_from(of, options.gain, options.low, options.high), constant, random);
    } catch (const c10::ValueError& error) {
      TORCH_CHECK_VALUE(false, layer.names[0], ": ", error.what_without_backtrace());
    }
  };
  if (layer.gates == 1) return shaped(r);
  const at::Tensor by_gate = r.view({layer.gates, -1});
  if (!options.per_gate) return shaped(by_gate.sum(0)).repeat({layer.gates});
  std::vector<at::Tensor> gates;
  for (std::int64_t gate = 0; gate < layer.gates; ++gate) gates.push_back(shaped(by_gate[gate]));
  return at::cat(gates);
}

at::Tensor over_weight(const at::Tensor& m, const at::Tensor& weight, const Layout& layout) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(weight.dim()), 1);
  if (layout.groups == 1) {
    shape[static_cast<std::size_t>(layout.axis)] = m.size(0);
    return m.view(shape);
  }
  const std::int64_t in = weight.size(0) / layout.groups, out = weight.size(1);
  shape[0] = weight.size(0);
  shape[1] = out;
  return m.view({layout.groups, 1, out}).expand({layout.groups, in, out}).reshape(shape);
}

}  // namespace grapes::credit
