#include "grapes/parity/case.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/table.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace grapes::parity {
namespace {

using Json = nlohmann::json;

/// Reads a case's file. All errors name the file and the field.
class Fields {
 public:
  explicit Fields(const std::filesystem::path& path) : path_(path.string()) {
    try {
      json_ = Json::parse(read_file(path));
    } catch (const Json::exception& error) {
      throw DataError(path_ + ": invalid JSON: " + error.what());
    }
    if (!json_.is_object() || get<std::string>("format") != "grapes-golden/1")
      throw wrong("format", "\"grapes-golden/1\"");
  }

  bool has(const std::string& field) const { return json_.contains(field) && !json_[field].is_null(); }
  template <class T>
  T get(const std::string& field) const {
    if (!has(field)) throw DataError(path_ + ": the field " + field + " is missing");
    try {
      return json_[field].get<T>();
    } catch (const Json::exception& error) {
      throw DataError(path_ + ": field " + field + ": " + error.what());
    }
  }
  DataError wrong(const std::string& field, const std::string& expected) const {
    return DataError(path_ + ": field " + field + ": expected " + expected);
  }

  /// Translates the value of a field to the name in Grapes.
  template <class Ours, std::size_t n>
  Ours translated(const std::string& field, const std::pair<const char*, Ours> (&words)[n]) const {
    const auto word = get<std::string>(field);
    std::vector<std::string> names;
    for (const auto& [theirs, ours] : words) {
      if (word == theirs) return ours;
      names.emplace_back(theirs);
    }
    throw wrong(field, "one of " + join(names, ", ") + "; got '" + word + "'");
  }

  at::Tensor matrix(const std::string& field, const Json& rows, std::int64_t height, std::int64_t width) const {
    at::Tensor matrix = at::empty({height, width}, at::kDouble);
    const auto is_row = [&](const Json& row) {
      return row.is_array() && static_cast<std::int64_t>(row.size()) == width &&
             std::all_of(row.begin(), row.end(), [](const Json& number) { return number.is_number(); });
    };
    if (!rows.is_array() || static_cast<std::int64_t>(rows.size()) != height ||
        !std::all_of(rows.begin(), rows.end(), is_row))
      throw wrong(field, fmt::format("{} rows of {} numbers", height, width));
    double* next = matrix.data_ptr<double>();
    for (const Json& row : rows)
      for (const Json& number : row) *next++ = number.get<double>();
    return matrix;
  }
  using Shapes = std::vector<std::pair<std::int64_t, std::int64_t>>;
  std::vector<at::Tensor> matrices(const std::string& field, const Json& all, const Shapes& shapes) const {
    if (!all.is_array() || all.size() != shapes.size()) throw wrong(field, fmt::format("{} matrices", shapes.size()));
    std::vector<at::Tensor> matrices;
    for (std::size_t i = 0; i < shapes.size(); ++i)
      matrices.push_back(matrix(field, all[i], shapes[i].first, shapes[i].second));
    return matrices;
  }
  std::vector<at::Tensor> matrices(const std::string& field, const Shapes& shapes) const {
    return matrices(field, get<Json>(field), shapes);
  }

 private:
  std::string path_;
  Json json_;
};

const std::pair<const char*, const char*> update_rules[] = {
    {"SGD", "sgd"}, {"mom", "momentum"}, {"NAG", "nag"}, {"rmsprop", "rmsprop"}, {"Adam", "adam"}};
const std::pair<const char*, const char*> activations[] = {
    {"relu", "relu"}, {"Lrelu", "leaky_relu"}, {"tanh", "tanh"}, {"tanh_ciresan", "scaled_tanh"}, {"sigm", "sigmoid"}};
const std::pair<const char*, const char*> output_functions[] = {
    {"softmax", "softmax"}, {"sigm", "sigmoid"}, {"tanh", "tanh"}};

struct LearnType {
  const char* route;
  const char* modulation;
  bool lookahead;  // under NAG, factors use the look-ahead weights; else W
};
const std::pair<const char*, LearnType> learn_types[] = {
    {"BP", {"bp", "none", true}},    {"BPgrapes", {"bp", "grapes", true}},
    {"FA", {"fa", "none", false}},   {"FAgrapes", {"fa", "grapes", false}},
    {"DFA", {"dfa", "none", false}}, {"DFAgrapes", {"dfa", "grapes", false}},
    {"IFA", {"ifa", "none", true}},  {"IFAgrapes", {"ifa", "grapes", true}}};

/// The options with which `grapes train` does what the authors' program did.
void read_options(const Fields& file, Case& c) {
  const LearnType rule = file.translated("learn_type", learn_types);
  c.network.model = nn::dense_model({c.layers.begin() + 1, c.layers.end() - 1});
  c.network.activation = file.translated("hidden_activation", activations);
  c.network.init = "zero";
  c.network.rule.route = rule.route;
  c.network.rule.modulation = rule.modulation;
  c.network.compatibility.first_sample_mask = c.network.compatibility.unmasked_first = true;
  c.network.compatibility.single_factor = c.network.rule.route == "ifa";
  if (find_row(credit::routes(), "route", rule.route).clipped)
    c.network.rule.clip.kind = file.get<bool>("clip") ? credit::Clip::Kind::range : credit::Clip::Kind::none;
  c.output = file.translated("output_activation", output_functions);
  c.training.factors_at_rest = !rule.lookahead;
  c.training.carry_remainder = true;
  c.training.batch_size = file.get<std::int64_t>("batch_size");
  c.training.epochs = file.get<std::int64_t>("epochs");
  if (c.training.batch_size < 1) throw file.wrong("batch_size", "at least 1");
  c.optimizer.optimizer = file.translated("update_type", update_rules);
  c.optimizer.learning_rate = file.get<double>("eta");
}

void read_samples(const Fields& file, Case& c) {
  const auto samples = file.get<std::int64_t>("n_samples");
  if (samples < 1) throw file.wrong("n_samples", "at least 1");
  c.inputs = file.matrix("inputs", file.get<Json>("inputs"), samples, c.layers.front());
  const auto labels = file.get<std::vector<std::int64_t>>("labels");
  if (static_cast<std::int64_t>(labels.size()) != samples)
    throw file.wrong("labels", fmt::format("{} numbers", samples));
  for (const std::int64_t label : labels)
    if (label < 0 || label >= c.layers.back())
      throw file.wrong("labels", fmt::format("classes 0 to {}; got {}", c.layers.back() - 1, label));
  c.labels = at::tensor(labels, at::kLong);
}

Fields::Shapes feedback_shapes(const Case& c) {
  const credit::Feedback kind = find_row(credit::routes(), "route", c.network.rule.route).feedback;
  const std::size_t hidden = c.layers.size() - 2;
  Fields::Shapes shapes;
  for (std::size_t l = 1; l <= hidden && kind != credit::Feedback::none; ++l)
    if (l == 1 || kind != credit::Feedback::first)
      shapes.emplace_back(c.layers[l], kind == credit::Feedback::above ? c.layers[l + 1] : c.layers.back());
  return shapes;
}

void read_factors(const Fields& file, Case& c) {
  if (!file.has("modulation")) return;
  const auto entries = file.get<Json>("modulation");
  for (const Json& entry : entries)
    for (const bool columns : {false, true}) {
      const auto layers = entry.find(columns ? "pre" : "post");
      if (layers == entry.end()) continue;
      for (const auto& [name, values] : layers->items()) {
        const auto layer = static_cast<std::size_t>(to_integer(name).value_or(-1));
        if (layer + 2 >= c.layers.size()) throw file.wrong("modulation", "existing hidden layers; got " + name);
        c.factors.push_back(
            {entry.at("at").get<std::int64_t>(), layer, columns,
             file.matrix("modulation", Json::array({values}), 1, c.layers[columns ? layer : layer + 1])});
      }
    }
}

}  // namespace

Case read(const std::filesystem::path& path) {
  const Fields file(path);
  Case c;
  c.name = file.has("name") ? file.get<std::string>("name") : path.stem().string();
  c.layers = file.get<std::vector<std::int64_t>>("layers");
  if (c.layers.size() < 2) throw file.wrong("layers", "at least two numbers, those of inputs and outputs");
  read_options(file, c);
  read_samples(file, c);

  Fields::Shapes weights, masks;
  const std::int64_t samples = c.inputs.size(0), passes = samples * c.training.epochs;
  for (std::size_t l = 1; l < c.layers.size(); ++l) weights.emplace_back(c.layers[l], c.layers[l - 1]);
  for (std::size_t l = 1; l + 1 < c.layers.size(); ++l) masks.emplace_back(passes, c.layers[l]);
  c.weights = file.matrices("initial_weights", weights);
  c.feedback = file.matrices("feedback", feedback_shapes(c));
  const auto keep = file.get<double>("dropout");
  if (!(keep > 0 && keep <= 1)) throw file.wrong("dropout", "the probability to keep a unit, above 0 and at most 1");
  if (keep < 1) c.masks = file.matrices("dropout_masks", masks);

  if (file.has("outputs")) c.outputs = file.matrix("outputs", file.get<Json>("outputs"), passes, c.layers.back());
  read_factors(file, c);
  const auto after = file.get<Json>("weights_after");
  const std::int64_t updates = samples / c.training.batch_size * c.training.epochs;
  for (const auto k : file.get<std::vector<std::int64_t>>("snapshots")) {
    if (k < 1 || k > updates || !after.contains(std::to_string(k)))
      throw file.wrong("snapshots", fmt::format("updates of weights_after, 1 to {}; got {}", updates, k));
    c.weights_after[k] = file.matrices("weights_after", after[std::to_string(k)], weights);
  }
  return c;
}

nlohmann::json to_json(const Snapshots& snapshots) {
  Json all = Json::object();
  for (const auto& [k, matrices] : snapshots)
    for (const at::Tensor& W : matrices) {
      Json rows = Json::array();
      const at::Tensor values = W.to(at::kDouble).contiguous();
      for (std::int64_t r = 0; r < W.size(0); ++r) {
        const double* row = values.data_ptr<double>() + r * W.size(1);
        rows.push_back(std::vector<double>(row, row + W.size(1)));
      }
      all[std::to_string(k)].push_back(std::move(rows));
    }
  return all;
}

}  // namespace grapes::parity
