#include "grapes/train/checkpoint.h"

#include "grapes/base/error.h"
#include "grapes/record/record.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>

namespace grapes::train {
namespace {

const char* const format = "grapes-checkpoint/1";

const at::Tensor& find(const Tensors& content, const std::string& name, const std::string& file) {
  const auto found = content.tensors.find(name);
  if (found == content.tensors.end())
    throw DataError(file + ": the tensor '" + name + "' is missing; the checkpoint may be of another network");
  return found->second;
}

void copy(const Tensors& content, const std::string& name, at::Tensor into, const std::string& file) {
  const at::NoGradGuard no_grad;
  const at::Tensor& from = find(content, name, file);
  if (from.sizes() != into.sizes())
    throw DataError(file + ": the tensor '" + name + "' must be " + shape_text(into) + "; got " + shape_text(from));
  into.copy_(from);
}

std::string metadata(const Tensors& content, const std::string& key, const std::string& file) {
  const auto found = content.metadata.find(key);
  if (found == content.metadata.end())
    throw DataError(file + ": the entry '" + key +
                    "' is missing; expected a checkpoint from which training can resume");
  return found->second;
}

/// A network without masks would give the removed weights back.
void require_masks(const Tensors& content, const nn::Network& model, const std::string& file) {
  const auto named = [&](const std::string& name) {
    return std::ranges::any_of(model.buffers(), [&](const nn::Named& buffer) { return buffer.name == name; });
  };
  for (const auto& [name, tensor] : content.tensors)
    if (name.ends_with(".weight_mask") && !named(name))
      throw DataError(file + ": '" + name +
                      "' says that weights were removed, but this network has all of them; start "
                      "from the file with --from, which takes over fan-in and prune, or set one of them");
}

/// Always copies to the CPU.
void add(Tensors& content, const std::string& name, const at::Tensor& value) {
  content.tensors[name] = value.detach().to(at::kCPU, value.scalar_type(), false, true);
}

/// Visits the defined tensors of a layer's factors, with their names.
template <class Visit>
void visit(credit::Factors& factors, Visit visit) {
  visit("error", factors.error);
  visit("rows", factors.rows);
  visit("columns", factors.columns);
}

}  // namespace

Tensors pack_weights(const nn::Network& model) {
  Tensors content;
  for (const nn::Named& parameter : model.parameters()) add(content, parameter.name, parameter.value);
  for (const nn::Named& buffer : model.buffers()) add(content, buffer.name, buffer.value);
  content.metadata["format"] = format;
  return content;
}

Tensors pack(const TrainState& state) {
  Tensors content = pack_weights(*state.model);
  const Progress& at = state.progress;
  if (at.carried)
    for (const nn::Named& parameter : state.model->parameters())
      if (parameter.value.grad().defined()) add(content, "gradient." + parameter.name, parameter.value.grad());
  for (const auto& held : state.optimizer->state()) add(content, "optimizer." + held.name, held.value);
  auto factors = state.model->factors();
  for (std::size_t l = 0; l < factors.size(); ++l)
    visit(factors[l], [&](const char* name, const at::Tensor& m) {
      if (m.defined()) add(content, fmt::format("factors.{}.{}", l, name), m);
    });
  const record::Json progress = {{"epoch", at.epoch},
                                 {"batch", at.batch},
                                 {"step", at.step},
                                 {"loss_sum", at.totals.loss},
                                 {"counted", at.totals.counted},
                                 {"score_sum", at.totals.score},
                                 {"samples", at.totals.samples},
                                 {"seconds", at.seconds},
                                 {"best", at.best},
                                 {"best_epoch", at.best_epoch},
                                 {"carried", at.carried},
                                 {"factors", factors.size()},
                                 {"factors_step", state.model->factors_step()}};
  content.metadata["progress"] = progress.dump();
  content.metadata["schedule"] = record::Json(state.schedule->state()).dump();
  return content;
}

void load_weights(const Tensors& content, nn::Network& model, const std::string& file, bool strict) {
  require_masks(content, model, file);
  for (const nn::Named& parameter : model.parameters()) {
    copy(content, parameter.name, parameter.value, file);
    if (parameter.storage) {  // for any parameter and format
      const at::NoGradGuard no_grad;
      at::Tensor value = parameter.value;
      value.copy_(kernels::rounded(value, parameter.storage->value.nearest(), 0, 0));
    }
  }
  for (const nn::Named& buffer : model.buffers())
    if (strict || content.tensors.count(buffer.name) > 0) copy(content, buffer.name, buffer.value, file);
  model.apply_masks();
}

Tensors grown(const Tensors& content, const nn::Network& model, const std::string& file) {
  const auto name_of = [](std::size_t layer) { return fmt::format("layers.{}.", layer); };
  const std::size_t layers = model.weights().size();
  std::size_t here = 0;
  while (content.tensors.count(name_of(here) + "weight") > 0) ++here;
  if (here == 0 || here >= layers)
    throw DataError(
        fmt::format("{}: a network with {} layers cannot grow to one with {}: expected fewer layers, one at "
                    "least",
                    file, here, layers));
  const std::string output = name_of(here - 1);
  Tensors all = content;
  for (const auto& [name, value] : content.tensors)
    if (name.starts_with(output)) {
      all.tensors.erase(name);
      all.tensors[name_of(layers - 1) + name.substr(output.size())] = value;
    }
  // The error of the last of these hidden layers comes from another layer now.
  if (here > 1) all.tensors.erase(name_of(here - 2) + "feedback");
  // The network has the rest.
  for (const nn::Named& one : model.parameters()) all.tensors.try_emplace(one.name, one.value.detach());
  return all;
}

void unpack(const Tensors& content, TrainState& state, const std::string& file) {
  if (metadata(content, "format", file) != format)
    throw DataError(file + ": expected format " + format + "; got '" + metadata(content, "format", file) + "'");
  load_weights(content, *state.model, file);
  Progress& at = state.progress;
  std::size_t layers = 0;
  std::int64_t factors_step = 0;
  try {
    const auto held = record::Json::parse(metadata(content, "progress", file));
    const Totals totals = {held.at("loss_sum"), held.at("counted"), held.at("score_sum"), held.at("samples")};
    at = {held.at("epoch"),   held.at("batch"), held.at("step"),       totals,
          held.at("seconds"), held.at("best"),  held.at("best_epoch"), held.at("carried")};
    layers = held.at("factors");
    factors_step = held.at("factors_step");
    state.schedule->restore(record::Json::parse(metadata(content, "schedule", file)).get<std::vector<double>>());
  } catch (const record::Json::exception& error) {
    throw DataError(file + ": the entry 'progress' is invalid: " + error.what());
  }
  for (const auto& held : state.optimizer->state()) copy(content, "optimizer." + held.name, held.value, file);
  if (at.carried)
    for (const nn::Named& parameter : state.model->parameters()) {
      at::Tensor leaf = parameter.value;
      leaf.mutable_grad() = at::zeros_like(leaf.detach());
      copy(content, "gradient." + parameter.name, leaf.grad(), file);
    }
  std::vector<credit::Factors> factors(layers);
  for (std::size_t l = 0; l < layers; ++l)
    visit(factors[l], [&](const char* name, at::Tensor& m) {
      const auto found = content.tensors.find(fmt::format("factors.{}.{}", l, name));
      if (found != content.tensors.end()) m = found->second;
    });
  state.model->restore_factors(std::move(factors), factors_step);
}

}  // namespace grapes::train
