#include "grapes/experiment/replay.h"

#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/experiment/config.h"
#include "grapes/nn/network.h"
#include "grapes/record/record.h"
#include "grapes/train/step.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace grapes::experiment {
namespace {

using record::Json;

/// A case's file, field by field; every complaint names the file and the field.
class Case {
 public:
  explicit Case(const std::filesystem::path& path) : path_(path.string()) {
    try {
      json_ = Json::parse(read_file(path));
    } catch (const Json::exception& error) {
      throw DataError(path_ + ": not JSON: " + error.what());
    }
    if (!json_.is_object() || text("format") != "grapes-golden/1")
      throw DataError(path_ + ": field format: expected \"grapes-golden/1\"");
    layers = get<std::vector<std::int64_t>>("layers");
    if (layers.size() < 2) throw wrong("layers", "at least an input and an output count");
  }

  bool has(const std::string& field) const { return json_.contains(field) && !json_[field].is_null(); }
  const Json& raw(const std::string& field) const {
    if (!has(field)) throw DataError(path_ + ": the field " + field + " is missing");
    return json_[field];
  }
  template <class T>
  T get(const std::string& field) const {
    try {
      return raw(field).get<T>();
    } catch (const Json::exception& error) {
      throw DataError(path_ + ": field " + field + ": " + error.what());
    }
  }
  std::string text(const std::string& field) const { return get<std::string>(field); }
  DataError wrong(const std::string& field, const std::string& expected) const {
    return DataError(path_ + ": field " + field + ": expected " + expected);
  }

  /// @param rows  each a list of numbers; -1 for either size takes what is there
  at::Tensor matrix(const Json& rows, const std::string& field, std::int64_t height, std::int64_t width) const {
    std::vector<std::vector<double>> values;
    try {
      values = rows.get<std::vector<std::vector<double>>>();
    } catch (const Json::exception&) {
      throw wrong(field, "a matrix of numbers");
    }
    if (height < 0) height = static_cast<std::int64_t>(values.size());
    if (width < 0) width = values.empty() ? 0 : static_cast<std::int64_t>(values[0].size());
    at::Tensor matrix = at::empty({height, width}, at::kDouble);
    bool fits = static_cast<std::int64_t>(values.size()) == height;
    for (std::size_t r = 0; fits && r < values.size(); ++r) {
      fits = static_cast<std::int64_t>(values[r].size()) == width;
      if (fits)
        std::copy(values[r].begin(), values[r].end(), matrix.data_ptr<double>() + static_cast<std::int64_t>(r) * width);
    }
    if (!fits) throw wrong(field, fmt::format("{} rows of {} numbers", height, width));
    return matrix;
  }

  std::vector<std::int64_t> layers;

 private:
  std::string path_;
  Json json_;
};

template <class Map>
const auto& named(const Map& map, const std::string& key, const Case& file, const std::string& field) {
  for (const auto& [name, value] : map)
    if (key == name) return value;
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.emplace_back(name);
  throw file.wrong(field, "one of " + join(names, ", ") + "; got '" + key + "'");
}

const std::pair<const char*, const char*> update_rules[] = {
    {"SGD", "sgd"}, {"mom", "momentum"}, {"NAG", "nag"}, {"rmsprop", "rmsprop"}, {"Adam", "adam"}};
const std::pair<const char*, const char*> hidden_activations[] = {
    {"relu", "relu"}, {"tanh", "tanh"}, {"sigm", "sigmoid"}};
const std::pair<const char*, const char*> learning_rules[] = {
    {"BP", "bp"}, {"FA", "fa"}, {"DFA", "dfa"}, {"IFA", "ifa"}};

/// The options of `grapes train` that make it do what the authors' program did in this case.
Config configuration(const Case& file, const std::string& dtype) {
  Config config;
  std::string rule = file.text("learn_type");
  const bool modulated = rule.ends_with("grapes");
  if (modulated) rule.resize(rule.size() - 6);
  const std::string route = named(learning_rules, rule, file, "learn_type");
  const credit::Route& row = find_row(credit::routes(), "route", route);

  std::vector<std::string> hidden;
  for (std::size_t l = 1; l + 1 < file.layers.size(); ++l) hidden.push_back(std::to_string(file.layers[l]));
  nn::Options& network = config.network;
  network.model = hidden.empty() ? "linear" : "mlp:" + join(hidden, ",");
  network.activation = named(hidden_activations, file.text("hidden_activation"), file, "hidden_activation");
  if (file.text("output_activation") != "softmax") throw file.wrong("output_activation", "softmax");
  network.precision = dtype;
  network.init = "zero";
  network.rule.route = route;
  network.rule.modulation = modulated ? "grapes" : "none";
  network.compatibility.first_sample_mask = network.compatibility.unmasked_first = true;
  network.compatibility.single_factor = route == "ifa";
  if (row.clipped)
    network.rule.clip.kind = file.get<bool>("clip") ? credit::Clip::Kind::range : credit::Clip::Kind::none;
  config.training.factors_at_rest = !row.lookahead;
  config.training.carry_remainder = true;
  config.training.batch = file.get<std::int64_t>("batch_size");
  config.training.epochs = file.get<std::int64_t>("epochs");
  config.optimizer.optimizer = named(update_rules, file.text("update_type"), file, "update_type");
  config.optimizer.learning_rate = file.get<double>("eta");
  return config;
}

double difference(const at::Tensor& ours, const at::Tensor& theirs) {
  if (ours.numel() == 0) return 0;
  const double largest = (ours.to(at::kDouble) - theirs).abs().max().item<double>();
  return largest == largest ? largest : std::numeric_limits<double>::infinity();
}

/// A case while it trains.
class Replay {
 public:
  Replay(const std::filesystem::path& path, const std::string& dtype, bool plain)
      : plain_(plain),
        file_(path),
        config_(configuration(file_, dtype)),
        model_(nn::make_network(config_.network, {{file_.layers.front()}, file_.layers.back()}, 0)),
        optimizer_(optim::make_optimizer(config_.optimizer, nn::learning(*model_))),
        schedule_(optim::make_schedule("constant", 0, config_.training.epochs)),
        criterion_("cross-entropy", "softmax", nn::TargetKind::classes) {
    samples_ = file_.get<std::int64_t>("n_samples");
    if (samples_ < 1) throw file_.wrong("n_samples", "at least 1");
    if (config_.training.batch < 1) throw file_.wrong("batch_size", "at least 1");
    inputs_ = file_.matrix(file_.raw("inputs"), "inputs", samples_, file_.layers.front())
                  .to(dtype == "float64" ? at::kDouble : at::kFloat);
    read_labels();
    place(model_->parameters(), "initial_weights", "weight");
    place(model_->buffers(), "feedback", "feedback");
    read_masks();
  }

  ReplayResult run() {
    for (std::int64_t epoch = 0; epoch < config_.training.epochs; ++epoch)
      for (std::int64_t begin = 0; begin < samples_; begin += config_.training.batch) batch(epoch * samples_, begin);
    if (compared_outputs_) result_.lines.push_back({"outputs", outputs_});
    if (compared_factors_) result_.lines.push_back({"factors", factors_});
    for (const Json& k : file_.raw("snapshots"))
      if (!ours_.contains(k.dump()))
        throw file_.wrong("snapshots",
                          "numbers up to the updates made, " + std::to_string(updates_) + "; got " + k.dump());
    return result_;
  }

  Json weights_after() const { return ours_; }
  const Case& file() const { return file_; }

 private:
  void read_labels() {
    const auto labels = file_.get<std::vector<std::int64_t>>("labels");
    if (static_cast<std::int64_t>(labels.size()) != samples_)
      throw file_.wrong("labels", fmt::format("{} numbers", samples_));
    for (const std::int64_t label : labels)
      if (label < 0 || label >= file_.layers.back())
        throw file_.wrong("labels", fmt::format("classes 0 to {}; got {}", file_.layers.back() - 1, label));
    labels_ = at::tensor(labels, at::kLong);
  }

  void place(const std::vector<nn::Named>& into, const std::string& field, const std::string& what) {
    const at::NoGradGuard no_grad;
    if (into.empty()) return;
    const Json& matrices = file_.raw(field);
    if (!matrices.is_array() || matrices.size() < into.size())
      throw file_.wrong(field, fmt::format("{} {} matrices", into.size(), what));
    for (std::size_t i = 0; i < into.size(); ++i) {
      at::Tensor target = into[i].value;
      target.copy_(file_.matrix(matrices[i], field, target.size(0), target.size(1)));
    }
  }

  void read_masks() {
    const double keep = file_.get<double>("dropout");
    if (!(keep > 0 && keep <= 1)) throw file_.wrong("dropout", "the probability to keep a node, above 0 and at most 1");
    if (keep == 1) return;
    const Json& masks = file_.raw("dropout_masks");
    const std::size_t hidden = file_.layers.size() - 2;
    if (!masks.is_array() || masks.size() < hidden) throw file_.wrong("dropout_masks", "one list per hidden layer");
    for (std::size_t l = 0; l < hidden; ++l)
      masks_.push_back(file_.matrix(masks[l], "dropout_masks", samples_ * config_.training.epochs, file_.layers[l + 1])
                           .to(inputs_.scalar_type()));
  }

  void batch(std::int64_t epoch_start, std::int64_t begin) {
    const std::int64_t full = config_.training.batch, count = std::min(full, samples_ - begin),
                       at = epoch_start + begin;
    nn::Pass pass;
    pass.step = batches_++;
    for (const at::Tensor& mask : masks_) pass.masks.push_back(mask.narrow(0, at, count));
    train::StepUse use;
    use.rate = config_.optimizer.learning_rate;
    use.update = count == full;
    use.carried = std::exchange(carried_, !use.update);
    use.plain = plain_;
    use.weight = static_cast<double>(count) / static_cast<double>(full);
    use.factors_at_rest = config_.training.factors_at_rest;
    train::Subject subject{*model_, criterion_, *optimizer_, *schedule_, use.rate};
    const auto result =
        train::step(subject, {inputs_.narrow(0, begin, count), labels_.narrow(0, begin, count)}, pass, use);
    compare_outputs(criterion_.prediction(result.logits), at);
    compare_factors(at);
    if (use.update) snapshot(++updates_);
  }

  void compare_outputs(const at::Tensor& ours, std::int64_t at) {
    if (!file_.has("outputs")) return;
    const Json& outputs = file_.raw("outputs");
    for (std::int64_t b = 0; b < ours.size(0); ++b) {
      const auto sample = static_cast<std::size_t>(at + b);
      if (sample >= outputs.size()) throw file_.wrong("outputs", "one row per training sample");
      compared_outputs_ = true;
      outputs_ = std::max(outputs_, difference(ours.narrow(0, b, 1), file_.matrix(Json::array({outputs[sample]}),
                                                                                  "outputs", 1, ours.size(1))));
    }
  }

  void compare_factors(std::int64_t at) {
    if (!file_.has("modulation")) return;
    for (const Json& entry : file_.raw("modulation")) {
      if (entry.at("at").get<std::int64_t>() != at) continue;
      const auto check = [&](const Json& held, auto member) {
        for (const auto& [layer, values] : held.items()) {
          const auto l = static_cast<std::size_t>(to_integer(layer).value_or(-1));
          if (l >= model_->factors().size()) throw file_.wrong("modulation", "layers that there are; got " + layer);
          const at::Tensor& m = model_->factors()[l].*member;
          compared_factors_ = true;
          factors_ = m.defined()
                         ? std::max(factors_, difference(m.unsqueeze(0), file_.matrix(Json::array({values}),
                                                                                      "modulation", 1, m.size(0))))
                         : std::numeric_limits<double>::infinity();
        }
      };
      if (entry.contains("post")) check(entry["post"], &credit::Factors::error);
      if (entry.contains("pre")) check(entry["pre"], &credit::Factors::columns);
    }
  }

  void snapshot(std::int64_t update) {
    const std::string key = std::to_string(update);
    const Json& wanted = file_.raw("weights_after");
    if (!wanted.contains(key)) return;
    double largest = 0;
    const auto parameters = model_->parameters();
    if (wanted[key].size() != parameters.size())
      throw file_.wrong("weights_after", fmt::format("{} matrices after update {}", parameters.size(), key));
    for (std::size_t l = 0; l < parameters.size(); ++l) {
      const at::Tensor W = parameters[l].value.detach().to(at::kDouble).contiguous();
      largest = std::max(largest, difference(W, file_.matrix(wanted[key][l], "weights_after", W.size(0), W.size(1))));
      Json rows = Json::array();
      for (std::int64_t r = 0; r < W.size(0); ++r) {
        const double* row = W.data_ptr<double>() + r * W.size(1);
        rows.push_back(std::vector<double>(row, row + W.size(1)));
      }
      ours_[key].push_back(std::move(rows));
    }
    result_.lines.push_back({fmt::format("weights after {} update{}", key, update == 1 ? "" : "s"), largest});
  }

  bool plain_;            // by the slow twins
  bool carried_ = false;  // gradients of a remainder wait
  Case file_;
  Config config_;
  std::unique_ptr<nn::Network> model_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::unique_ptr<optim::Schedule> schedule_;
  nn::Criterion criterion_;
  std::int64_t samples_ = 0, batches_ = 0, updates_ = 0;
  at::Tensor inputs_, labels_;
  std::vector<at::Tensor> masks_;
  Json ours_ = Json::object();
  ReplayResult result_;
  double outputs_ = 0, factors_ = 0;
  bool compared_outputs_ = false, compared_factors_ = false;
};

}  // namespace

ReplayResult replay(const std::filesystem::path& file, const std::string& dtype, const std::filesystem::path& out,
                    bool plain) {
  if (dtype != "float64" && dtype != "float32")
    throw UsageError("--dtype must be float64 or float32; got '" + dtype + "'");
  Replay replay(file, dtype, plain);
  ReplayResult result = replay.run();
  result.name = replay.file().has("name") ? replay.file().text("name") : file.stem().string();
  result.tolerance = dtype == "float64" ? 1e-12 : 2e-6;
  result.passed = !result.lines.empty();
  for (const auto& line : result.lines) result.passed = result.passed && line.difference <= result.tolerance;
  if (!out.empty())
    write_file(out, Json{{"format", "grapes-replay/1"},
                         {"case", result.name},
                         {"dtype", dtype},
                         {"passed", result.passed},
                         {"weights_after", replay.weights_after()}}
                            .dump(1) +
                        "\n");
  return result;
}

}  // namespace grapes::experiment
