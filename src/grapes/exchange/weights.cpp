#include "grapes/exchange/weights.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace grapes::exchange {
namespace {

/// "features.0.weight" -> "features.0", "weight"; "weight" -> "", "weight".
std::pair<std::string, std::string> parted(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {"", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}
std::string joined(const std::string& module, const std::string& leaf) {
  return module.empty() ? leaf : module + "." + leaf;
}

/// Sorts "a10" after "a9".
bool before(const std::string& a, const std::string& b) {
  const auto digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (digit(a[i]) && digit(b[j])) {
      const std::size_t from_i = i, from_j = j;
      while (i < a.size() && digit(a[i])) ++i;
      while (j < b.size() && digit(b[j])) ++j;
      const auto left = to_integer(a.substr(from_i, i - from_i)), right = to_integer(b.substr(from_j, j - from_j));
      if (left != right) return left < right;
    } else if (a[i] != b[j]) {
      return a[i] < b[j];
    } else {
      ++i, ++j;
    }
  }
  return a.size() - i < b.size() - j;
}

/// Maps the model's modules to names.
std::map<std::string, std::string> named(const nn::Network& model, const std::vector<std::string>& names) {
  const std::vector<std::string> modules = modules_of(model);
  if (names.size() != modules.size())
    throw UsageError("names", fmt::format("must have one name for each of the {} modules with weights; got {}, '{}'",
                                          modules.size(), names.size(), join(names, ",")));
  if (std::set<std::string>(names.begin(), names.end()).size() != names.size())
    throw UsageError("names", "must be unique; got '" + join(names, ",") + "'");
  std::map<std::string, std::string> map;
  for (std::size_t i = 0; i < modules.size(); ++i) map[modules[i]] = names[i];
  return map;
}

}  // namespace

std::vector<std::string> modules_of(const nn::Network& model) {
  std::vector<std::string> modules;
  for (const nn::Named& parameter : model.parameters())
    if (const std::string module = parted(parameter.name).first;
        std::find(modules.begin(), modules.end(), module) == modules.end())
      modules.push_back(module);
  return modules;
}

std::vector<std::string> sequential_names(const nn::Network& model, const nn::Options& options) {
  const std::size_t apart = options.model.name == "snn" ? 1 : options.dropout > 0 ? 3 : 2;
  std::vector<std::string> names;
  for (std::size_t l = 0; l < modules_of(model).size(); ++l) names.push_back(std::to_string(apart * l));
  return names;
}

train::Tensors export_weights(const nn::Network& model, const std::vector<std::string>& names, bool buffers) {
  const std::map<std::string, std::string> of = named(model, names);
  train::Tensors content;
  content.metadata["format"] = "pt";  // expected by Python's safetensors package
  const auto add = [&](const nn::Named& tensor) {
    const auto [module, leaf] = parted(tensor.name);
    content.tensors[joined(of.at(module), leaf)] = tensor.value.detach().clone();
  };
  for (const nn::Named& parameter : model.parameters()) add(parameter);
  if (buffers)
    for (const nn::Named& buffer : model.buffers()) add(buffer);
  return content;
}

std::vector<std::string> weighted_modules(const train::Tensors& content) {
  std::vector<std::string> modules;
  for (const auto& [name, tensor] : content.tensors)
    if (const auto [module, leaf] = parted(name); leaf == "weight" && tensor.dim() >= 2 && tensor.is_floating_point())
      modules.push_back(module);
  std::sort(modules.begin(), modules.end(), before);
  return modules;
}

std::vector<std::string> guess_modules(const train::Tensors& content, const std::string& file) {
  const std::vector<std::string> modules = weighted_modules(content);
  if (modules.empty()) throw DataError(file + ": expected tensors 'MODULE.weight' with two axes; got none");
  for (const std::string& module : modules)
    if (const at::Tensor& weight = content.tensors.at(joined(module, "weight")); weight.dim() != 2)
      throw DataError(fmt::format("{}: '{}' is {}; only linear layers can be imported", file, joined(module, "weight"),
                                  train::shape_text(weight)));
  for (std::size_t l = 1; l < modules.size(); ++l) {
    const std::string below = joined(modules[l - 1], "weight"), above = joined(modules[l], "weight");
    const at::Tensor &from = content.tensors.at(below), &to = content.tensors.at(above);
    if (to.size(1) != from.size(0))
      throw DataError(
          fmt::format("{}: the inputs of '{}' {} do not match the outputs of '{}' {}: name the modules in their order",
                      file, above, train::shape_text(to), below, train::shape_text(from)));
  }
  return modules;
}

DenseChain dense_chain(const train::Tensors& content, const std::vector<std::string>& names, const std::string& file) {
  std::vector<at::Tensor> weights;
  std::vector<std::int64_t> hidden;
  for (const std::string& name : names) {
    const auto weight = content.tensors.find(joined(name, "weight"));
    if (weight == content.tensors.end() || weight->second.dim() != 2)
      throw DataError(file + ": '" + name + "' has no matrix '" + joined(name, "weight") +
                      "': the model and the data must be given");
    if (!weights.empty()) hidden.push_back(weights.back().size(0));
    weights.push_back(weight->second);
  }
  return {nn::dense_model(std::move(hidden)), weights.front().size(1), weights.back().size(0)};
}

bool has_biases(const train::Tensors& content, const std::vector<std::string>& names) {
  return std::ranges::any_of(names,
                             [&](const std::string& name) { return content.tensors.contains(joined(name, "bias")); });
}

data::DatasetInfo numbered_classes(std::vector<std::int64_t> input_shape, std::int64_t outputs) {
  data::DatasetInfo info;
  info.input_shape = std::move(input_shape);
  info.outputs = outputs;
  for (std::int64_t c = 0; c < outputs; ++c) info.classes.push_back(std::to_string(c));
  return info;
}

std::string Match::faults() const {
  std::vector<std::string> all;
  const auto add = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) all.push_back(what + join(names, ", "));
  };
  add("missing: ", missing);
  add("unexpected: ", unexpected);
  add("wrong shape: ", misshapen);
  return join(all, "; ");
}

Match import_weights(const train::Tensors& content, nn::Network& model, const std::vector<std::string>& names) {
  const at::NoGradGuard no_grad;
  const std::map<std::string, std::string> of = named(model, names);
  Match match;
  std::set<std::string> wanted;
  const auto take = [&](const nn::Named& tensor, bool must) {
    const auto [module, leaf] = parted(tensor.name);
    const std::string theirs = joined(of.at(module), leaf);
    wanted.insert(theirs);
    const auto found = content.tensors.find(theirs);
    if (found == content.tensors.end()) {
      if (must) match.missing.push_back(theirs);
    } else if (found->second.sizes() != tensor.value.sizes()) {
      match.misshapen.push_back(fmt::format("{} is {}, must be {}", theirs, train::shape_text(found->second),
                                            train::shape_text(tensor.value)));
    } else {
      at::Tensor into = tensor.value;
      into.copy_(found->second);
      match.loaded.emplace_back(theirs, tensor.name);
    }
  };
  for (const nn::Named& parameter : model.parameters()) take(parameter, true);
  for (const nn::Named& buffer : model.buffers()) take(buffer, false);
  for (const auto& [name, tensor] : content.tensors)
    if (wanted.count(name) == 0) match.unexpected.push_back(name);
  return match;
}

}  // namespace grapes::exchange
