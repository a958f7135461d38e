#include "grapes/train/checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <set>

namespace grapes::train {
namespace {

const char* const format = "grapes-checkpoint/1";

const at::Tensor& find(const Tensors& content, const std::string& name, const std::string& file) {
  const auto found = content.tensors.find(name);
  if (found == content.tensors.end())
    throw DataError(file + ": the tensor '" + name + "' is missing; is it a checkpoint of another network?");
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
    throw DataError(file + ": the entry '" + key + "' is missing: not a checkpoint that training can go on from");
  return found->second;
}

/// The tensors of a layer's factors that are there, by name.
template <class Visit>
void visit(credit::Factors& factors, Visit visit) {
  visit("error", factors.error);
  visit("rows", factors.rows);
  visit("columns", factors.columns);
}

}  // namespace

Tensors pack(const Subject& subject, const Position& position) {
  const at::NoGradGuard no_grad;
  Tensors content;
  const auto add = [&](const std::string& name, const at::Tensor& value) {
    content.tensors[name] = value.detach().to(at::kCPU, value.scalar_type(), false, true);  // a copy in any case
  };
  for (const nn::Named& parameter : subject.model.parameters()) {
    add(parameter.name, parameter.value);
    if (position.carried && parameter.value.grad().defined()) add("gradient." + parameter.name, parameter.value.grad());
  }
  for (const nn::Named& buffer : subject.model.buffers()) add(buffer.name, buffer.value);
  for (const auto& state : subject.optimizer.state()) add("optimizer." + state.name, state.value);
  auto factors = subject.model.factors();
  for (std::size_t l = 0; l < factors.size(); ++l)
    visit(factors[l], [&](const char* name, const at::Tensor& m) {
      if (m.defined()) add(fmt::format("factors.{}.{}", l, name), m);
    });
  const record::Json where = {{"epoch", position.epoch},
                              {"batch", position.batch},
                              {"step", position.step},
                              {"loss_sum", position.loss_sum},
                              {"score_sum", position.score_sum},
                              {"best", position.best},
                              {"best_epoch", position.best_epoch},
                              {"counted", position.counted},
                              {"carried", position.carried},
                              {"factors", factors.size()},
                              {"factors_step", subject.model.factors_step()}};
  content.metadata = {
      {"format", format}, {"position", where.dump()}, {"schedule", record::Json(subject.schedule.state()).dump()}};
  return content;
}

void load_weights(const Tensors& content, nn::Network& model, const std::string& file, bool strict) {
  for (const nn::Named& parameter : model.parameters()) {
    copy(content, parameter.name, parameter.value, file);
    if (parameter.storage) {  // whoever's it was, and in whatever format
      const at::NoGradGuard no_grad;
      at::Tensor value = parameter.value;
      value.copy_(kernels::rounded(value, parameter.storage->value.nearest(), 0, 0));
    }
  }
  for (const nn::Named& buffer : model.buffers())
    if (strict || content.tensors.count(buffer.name) > 0) copy(content, buffer.name, buffer.value, file);
}

Position unpack(const Tensors& content, Subject subject, const std::string& file) {
  if (metadata(content, "format", file) != format)
    throw DataError(file + ": expected format " + format + "; got '" + metadata(content, "format", file) + "'");
  load_weights(content, subject.model, file);
  Position position;
  std::size_t layers = 0;
  std::int64_t factors_step = 0;
  try {
    const auto where = record::Json::parse(metadata(content, "position", file));
    position = {where.at("epoch"),      where.at("batch"),     where.at("step"),
                where.at("loss_sum"),   where.at("score_sum"), where.at("best"),
                where.at("best_epoch"), where.at("counted"),   where.at("carried")};
    layers = where.at("factors");
    factors_step = where.at("factors_step");
    subject.schedule.restore(record::Json::parse(metadata(content, "schedule", file)).get<std::vector<double>>());
  } catch (const record::Json::exception& error) {
    throw DataError(file + ": its position cannot be understood: " + error.what());
  }
  for (const auto& state : subject.optimizer.state()) copy(content, "optimizer." + state.name, state.value, file);
  if (position.carried)
    for (const nn::Named& parameter : subject.model.parameters()) {
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
  subject.model.restore_factors(std::move(factors), factors_step);
  return position;
}

}  // namespace grapes::train
