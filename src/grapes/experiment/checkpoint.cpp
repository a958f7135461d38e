#include "grapes/experiment/checkpoint.h"

#include "grapes/base/error.h"
#include "grapes/experiment/toml.h"
#include "grapes/train/checkpoint.h"
#include "grapes/train/metrics.h"
#include "grapes/train/trainer.h"

#include <algorithm>
#include <utility>

namespace grapes::experiment {
namespace {

// Same order as data::ProblemKind.
const std::vector<std::string> problem_names = {"classification", "regression", "prediction"};

const std::string& entry(const train::Tensors& content, const std::string& key, const std::string& file) {
  const auto found = content.metadata.find(key);
  if (found == content.metadata.end())
    throw DataError(file + ": the entry '" + key + "' is missing; expected a checkpoint of Grapes");
  return found->second;
}

Config config_in(const train::Tensors& content, const std::string& file) {
  Config config;
  read_toml_text(config, entry(content, "config", file), file + ": its configuration");
  return config;
}

}  // namespace

record::Json to_json(const data::DatasetInfo& info) {
  record::Json json = {{"problem", problem_names.at(static_cast<std::size_t>(info.problem))},
                       {"sequence", info.sequence},
                       {"input_shape", info.input_shape},
                       {"outputs", info.outputs},
                       {"classes", info.classes},
                       {"inputs", info.inputs}};
  if (!info.fill.empty()) json["fill"] = info.fill;
  if (!info.target_mean.empty()) {
    json["target_mean"] = info.target_mean;
    json["target_deviation"] = info.target_deviation;
  }
  return json;
}

data::DatasetInfo info_from(const record::Json& json) {
  data::DatasetInfo info;
  const auto name = std::find(problem_names.begin(), problem_names.end(), json.at("problem").get<std::string>());
  if (name == problem_names.end()) throw DataError("unknown kind of problem " + json.at("problem").dump());
  info.problem = static_cast<data::ProblemKind>(name - problem_names.begin());
  info.sequence = json.value("sequence", false);
  info.input_shape = json.at("input_shape").get<std::vector<std::int64_t>>();
  info.outputs = json.at("outputs");
  info.classes = json.at("classes").get<std::vector<std::string>>();
  info.inputs = json.at("inputs").get<std::vector<std::string>>();
  info.fill = json.value("fill", std::vector<float>());
  info.target_mean = json.value("target_mean", std::vector<double>());
  info.target_deviation = json.value("target_deviation", std::vector<double>());
  const auto outputs = static_cast<std::size_t>(info.outputs);
  if (info.target_mean.size() != info.target_deviation.size() ||
      (!info.target_mean.empty() && info.target_mean.size() != outputs))
    throw DataError("target_mean and target_deviation must have one number per output, or none");
  if (!info.fill.empty() && info.fill.size() != info.inputs.size())
    throw DataError("fill must have one number per input, or none");
  return info;
}

train::Tensors constants(const Config& config, const data::DatasetInfo& info,
                         const data::Normalization& normalization) {
  train::Tensors constants;
  constants.metadata = {{"config", to_toml(config)}, {"dataset", to_json(info).dump()}};
  if (normalization.shift.defined()) constants.tensors["input.shift"] = normalization.shift;
  if (normalization.scale.defined()) constants.tensors["input.scale"] = normalization.scale;
  return constants;
}

Config config_of(const std::filesystem::path& checkpoint) {
  return config_in(train::read_safetensors(checkpoint), checkpoint.string());
}

Loaded load(const std::filesystem::path& checkpoint, const std::string& device) {
  const std::string file = checkpoint.string();
  const train::Tensors content = train::read_safetensors(checkpoint);
  Config config = config_in(content, file);
  config.network.device = device;
  data::DatasetInfo info;
  try {
    info = info_from(record::Json::parse(entry(content, "dataset", file)));
  } catch (const record::Json::exception& error) {
    throw DataError(file + ": the entry 'dataset' is invalid: " + error.what());
  }
  auto model = nn::make_network(config.network, train::signature_of(info), config.training.seed);
  train::load_weights(content, *model, file);
  data::Normalization normalization;
  if (const auto shift = content.tensors.find("input.shift"); shift != content.tensors.end())
    normalization.shift = shift->second;
  if (const auto scale = content.tensors.find("input.scale"); scale != content.tensors.end())
    normalization.scale = scale->second;
  const nn::Criterion criterion = train::criterion_of(config.network, config.training, info);
  return {std::move(config), std::move(info), normalization, std::move(model), criterion};
}

void save(const std::filesystem::path& checkpoint, const Config& config, const data::DatasetInfo& info,
          const data::Normalization& normalization, nn::Network& model) {
  train::Tensors content = train::pack_weights(model);
  train::Tensors rest = constants(config, info, normalization);
  content.metadata.merge(rest.metadata);
  content.tensors.merge(rest.tensors);
  train::write_safetensors(checkpoint, content);
}

}  // namespace grapes::experiment
