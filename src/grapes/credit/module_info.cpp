#include "grapes/credit/module_info.h"

#include "grapes/base/random.h"
#include "grapes/base/text.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/modulation.h"
#include "grapes/credit/rule.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fnmatch.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/script.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string_view>

namespace grapes::credit {
namespace {

using Parameters = std::vector<std::pair<std::string, at::Tensor>>;

/// What the type of a parameter's module says about the parameter.
struct Known {
  Layout layout;
  std::optional<Shard> shard;
  std::string unsupported_reason;
};
using KnownByName = std::map<std::string, Known>;

/// Splits "a.b.c" into "a.b." and "c". A name without a dot gives "" and the name.
std::pair<std::string, std::string> split_last(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos ? std::pair(std::string(), name)
                                  : std::pair(name.substr(0, dot + 1), name.substr(dot + 1));
}

/// Returns "a.bias_ih_l0" for ("a.weight_ih_l0", "weight_ih", "bias_ih"): the name of a related parameter.
std::optional<std::string> renamed(const std::string& name, std::string_view from, std::string_view to) {
  auto [module, own] = split_last(name);
  if (own.compare(0, from.size(), from) != 0) return std::nullopt;
  // The name must end with "weight_ih" or continue with "_l0". "weight_ihx" does not match.
  if (own.size() > from.size() && own[from.size()] != '_') return std::nullopt;
  return module + std::string(to) + own.substr(from.size());
}

at::Tensor find(const Parameters& parameters, const std::optional<std::string>& name) {
  if (!name) return {};
  for (const auto& [key, value] : parameters)
    if (key == *name) return value;
  return {};
}

/// Returns "encoder.0" for "encoder.0.weight" and "lstm.l0" for "lstm.weight_ih_l0". Other weights, and weights of the
/// model itself, keep their names.
std::string module_name(const std::string& weight) {
  const auto [module, own] = split_last(weight);
  for (const std::string_view kind : {"weight_ih", "weight"}) {
    const auto rest = renamed(weight, kind, "");
    if (!rest || (kind == "weight" && own != kind)) continue;
    std::string name = module + rest->substr(std::min(rest->size(), module.size() + 1));
    if (name.ends_with('.')) name.pop_back();
    return name.empty() ? weight : name;
  }
  return weight;
}

/// Names that patterns can match: those of the weights and of their modules.
std::vector<std::string> names_of(const ModuleInfo& module) {
  std::vector<std::string> names = module.weights;
  for (const std::string& weight : module.weights)
    if (const std::string holder = split_last(weight).first; !holder.empty())
      names.push_back(holder.substr(0, holder.size() - 1));
  names.push_back(module.name);
  return names;
}

std::vector<ModuleInfo> modules_of(const Parameters& parameters, const KnownByName& known) {
  std::vector<ModuleInfo> modules;
  for (const auto& [name, value] : parameters) {
    if (!value.defined() || value.dim() < 2) continue;
    // Recurrent weights are added together with the input weights of their layer.
    if (find(parameters, renamed(name, "weight_hh", "weight_ih")).defined()) continue;
    const auto same = std::find_if(modules.begin(), modules.end(), [&, &value = value](const ModuleInfo& module) {
      return module.weight.is_same(value);
    });
    if (same != modules.end()) {
      same->weights.push_back(name);
      continue;
    }
    ModuleInfo module;
    module.name = module_name(name);
    module.weights = {name};
    module.weight = value;
    module.bias = find(parameters, renamed(name, "weight", "bias"));
    if (const auto found = known.find(name); found != known.end()) {
      module.layout = found->second.layout;
      module.shard = found->second.shard;
      module.unsupported_reason = found->second.unsupported_reason;
    }
    if (!value.is_floating_point()) module.unsupported_reason = "its dtype is not floating point";
    if (renamed(name, "weight_hr", "weight_hr")) module.unsupported_reason = "the projection of an LSTM";
    const auto recurrent = renamed(name, "weight_ih", "weight_hh");
    module.recurrent = find(parameters, recurrent);
    if (module.recurrent.defined()) {
      module.weights.push_back(*recurrent);
      module.recurrent_bias = find(parameters, renamed(name, "weight_ih", "bias_hh"));
      // An LSTM with projections feeds back fewer numbers than it has units.
      const at::Tensor projection = find(parameters, renamed(name, "weight_ih", "weight_hr"));
      const std::int64_t units = projection.defined() ? projection.size(1) : module.recurrent.size(1);
      module.gates = units > 0 && value.size(0) % units == 0 ? value.size(0) / units : 1;
    }
    modules.push_back(std::move(module));
  }
  return modules;
}

template <class... Types>
bool is_any(const torch::nn::Module& module) {
  return (... || (dynamic_cast<const Types*>(&module) != nullptr));
}

template <class Conv>
void note_transposed(const torch::nn::Module& module, const std::string& prefix, KnownByName& known) {
  if (const auto* conv = dynamic_cast<const Conv*>(&module))
    known[prefix + "weight"].layout = {1, conv->options.groups()};
}

/// Collects what the types of a module and its submodules say. named_modules() cannot be used, because it needs a model
/// that is owned by a shared_ptr.
void note_types(const torch::nn::Module& module, const std::string& prefix, KnownByName& known) {
  note_transposed<torch::nn::ConvTranspose1dImpl>(module, prefix, known);
  note_transposed<torch::nn::ConvTranspose2dImpl>(module, prefix, known);
  note_transposed<torch::nn::ConvTranspose3dImpl>(module, prefix, known);
  if (is_any<torch::nn::EmbeddingImpl, torch::nn::EmbeddingBagImpl>(module))
    known[prefix + "weight"].unsupported_reason = "an embedding";
  if (const auto* sharded = dynamic_cast<const Sharded*>(&module)) known[prefix + "weight"].shard = sharded->shard();
  for (const auto& child : module.named_children()) note_types(*child.value(), prefix + child.key() + ".", known);
}

}  // namespace

std::vector<ModuleInfo> modules_of(const torch::nn::Module& model) {
  Parameters parameters;
  for (const auto& item : model.named_parameters()) parameters.emplace_back(item.key(), item.value());
  KnownByName known;
  note_types(model, "", known);
  return modules_of(parameters, known);
}

std::vector<ModuleInfo> modules_of(const torch::jit::Module& model) {
  Parameters parameters;
  for (const auto& item : model.named_parameters()) parameters.emplace_back(item.name, item.value);
  KnownByName known;
  for (const auto& item : model.named_modules()) {
    if (!item.value.type()->name().has_value()) continue;
    const std::string type = item.value.type()->name()->name(), prefix = item.name.empty() ? "" : item.name + ".";
    if (type.starts_with("ConvTranspose"))
      known[prefix + "weight"].layout = {1, item.value.hasattr("groups") ? item.value.attr("groups").toInt() : 1};
    if (type.starts_with("Embedding")) known[prefix + "weight"].unsupported_reason = "an embedding";
  }
  return modules_of(parameters, known);
}

std::vector<ModuleInfo> modules_of(const Parameters& parameters) { return modules_of(parameters, {}); }

bool matches(const ModuleInfo& module, const std::string& pattern) {
  const std::vector<std::string> names = names_of(module);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return name == pattern || (!pattern.empty() && name.starts_with(pattern + ".")) ||
           fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
  });
}

bool matches_any(const ModuleInfo& module, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return matches(module, pattern); });
}

void require_matches(const std::vector<ModuleInfo>& modules, const std::vector<std::string>& patterns,
                     const std::string& what) {
  for (const std::string& pattern : patterns) {
    if (std::any_of(modules.begin(), modules.end(), [&](const ModuleInfo& m) { return matches(m, pattern); })) continue;
    std::vector<std::string> known;
    for (const ModuleInfo& module : modules)
      for (const std::string& name : names_of(module))
        if (std::find(known.begin(), known.end(), name) == known.end()) known.push_back(name);
    TORCH_CHECK(false, what, " must name layers of the model; got '", pattern, "'", did_you_mean(pattern, known),
                "; available: ", join(known, ", "));
  }
}

Rule require_rule(const Rule& rule, const std::string& what) {
  using enum Responsibility;
  TORCH_CHECK_VALUE(rule.route == "bp", what,
                    ": the route must be bp, because the error follows the model's own graph; got ", rule.route);
  TORCH_CHECK_VALUE(rule.responsibility != outgoing && rule.responsibility != synaptic, what,
                    ": responsibility must be incoming or input; outgoing weights belong to the next layer, which is "
                    "unknown for a single layer");
  require_of_layer(rule, what);
  try {
    return resolved(rule);
  } catch (const c10::ValueError& error) {
    TORCH_CHECK_VALUE(false, what, ": ", error.what_without_backtrace());
  }
}

at::Tensor layer_factor(const ModuleInfo& module, const Layout& layout, const Rule& rule, std::size_t number,
                        std::int64_t batch) {
  const at::NoGradGuard no_grad;
  if (modulation_of(rule).transform == nullptr) return {};
  const auto exact = [](const at::Tensor& of) {  // sums in 16 bits would be rounded
    return of.scalar_type() == at::kHalf || of.scalar_type() == at::kBFloat16 ? of.detach().to(at::kFloat) : of;
  };
  const auto sum = [&](const at::Tensor& W, const OptionalTensor& R) {
    if (layout.groups == 1) return responsibility(W, R, layout.axis);
    // [input, unit / groups, ...]: inputs of a group reach only the units of that group.
    const at::Tensor magnitude = W.detach().abs().flatten(1);
    return magnitude.view({layout.groups, W.size(0) / layout.groups, W.size(1), -1}).sum({1, 3}).flatten();
  };
  const at::Tensor W = exact(module.weight);
  const bool both = module.recurrent.defined() && rule.responsibility != Responsibility::input;
  const at::Tensor R = both ? exact(module.recurrent) : at::Tensor();
  const at::Tensor r = sum(W, R);
  at::Tensor count;  // of weights that are not 0, for their mean
  if (rule.reduction == Reduction::mean) {
    const auto exists = [](const at::Tensor& of) { return of.defined() ? of.detach().ne(0).to(of.scalar_type()) : of; };
    count = sum(exists(W), exists(R));
  }

  Random random(stream_seed(rule.seed, "shuffled", drawn_batch(rule, batch), number));
  const auto made_of = [&](const at::Tensor& of, const at::Tensor& count) {
    try {
      return factor_of(count.defined() ? of / count.clamp_min(1) : of, rule, number, random);
    } catch (const c10::ValueError& error) {
      TORCH_CHECK_VALUE(false, module.name, ": ", error.what_without_backtrace());
    }
  };
  const auto each = [&count](auto change) { return count.defined() ? change(count) : count; };
  if (module.shard) {
    const auto all = [&](const at::Tensor& own) { return module.shard->all_responsibilities(own); };
    return module.shard->own_units(made_of(all(r), each(all)));
  }
  if (module.gates == 1) return made_of(r, count);
  const auto over_gates = [&](const at::Tensor& of) { return of.view({module.gates, -1}).sum(0); };
  if (!rule.per_gate) return made_of(over_gates(r), each(over_gates)).repeat({module.gates});
  std::vector<at::Tensor> gates;
  for (std::int64_t gate = 0; gate < module.gates; ++gate) {
    const auto one = [&](const at::Tensor& of) { return of.view({module.gates, -1})[gate]; };
    gates.push_back(made_of(one(r), each(one)));
  }
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
