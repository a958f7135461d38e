#include "grapes/experiment/config.h"

#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/continual/method.h"
#include "grapes/experiment/tasks.h"

#include <nlohmann/json.hpp>
#include <toml++/toml.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace grapes::experiment {
namespace {

/// What an arm may change: not what all arms of a comparison share.
bool belongs_to_arm(const Key& key) {
  return (key.group == "model" || key.group == "spiking" || key.group == "analog" || key.group == "rule" ||
          key.group == "optimizer" || key.group == "training" || key.group == "method" || key.group == "authors") &&
         key.name != "seed" && key.name != "label";
}

/// Text as TOML writes it: its basic strings are those of JSON.
std::string quote(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string toml_list(const std::vector<std::string>& items) {
  std::string text = "[";
  return text.append(join(items, ", ")).append("]");
}

std::string toml_value(const Key& key, const std::string& value) {
  switch (key.kind) {
    case Key::Kind::number:
    case Key::Kind::flag:
      return value;
    case Key::Kind::numbers:
      return toml_list(split(value, ','));
    case Key::Kind::texts: {
      Config config;  // its own setter knows where an item ends
      key.set(config, value);
      std::vector<std::string> items;
      for (const std::string& arm : config.compare.arms) items.push_back(quote(arm));
      return toml_list(items);
    }
    case Key::Kind::text:
      break;
  }
  return quote(value);
}

std::string place(const std::string& file, const toml::source_region& source) {
  return file + ":" + std::to_string(source.begin.line) + ":" + std::to_string(source.begin.column) + ": ";
}

/// A TOML value as the text that Key::set takes.
std::string text_of(const toml::node& node, const std::string& key, const std::string& file) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return std::to_string(whole->get());
  if (const auto* number = node.as_floating_point()) return shortest(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  if (const auto* list = node.as_array()) {
    std::vector<std::string> pieces;
    for (const toml::node& item : *list) {
      if (item.is_array() || item.is_table()) break;
      pieces.push_back(text_of(item, key, file));
    }
    if (pieces.size() == list->size()) return join(pieces, ",");
  }
  throw UsageError(place(file, node.source()) + key + " takes a text, a number, true or false, or a list of these");
}

/// What set() throws, with the place put before it.
void set_at(Config& config, const std::string& key, const toml::node& node, const std::string& file) {
  const std::string value = text_of(node, key, file);
  try {
    set(config, key, value);
  } catch (const UsageError& error) {
    throw UsageError(place(file, node.source()) + error.what());
  }
}

const Key& find_key_at(const toml::key& name, const std::string& file) {
  try {
    return find_key(name.str());
  } catch (const UsageError& error) {
    throw UsageError(place(file, name.source()) + error.what());
  }
}

/// [arm.NAME] tables, in the order of the file.
std::vector<std::string> read_arms(Config& config, const toml::table& arms, const std::string& file) {
  std::vector<std::pair<toml::source_index, std::string>> order;
  for (const auto& [name, node] : arms) {
    const toml::table* table = node.as_table();
    if (!table) throw UsageError(place(file, name.source()) + "an arm of your own is a table: [arm.NAME]");
    std::map<std::string, std::string> values;
    Config scratch = config;
    for (const auto& [key_name, value] : *table) {
      const Key& key = find_key_at(key_name, file);
      if (!belongs_to_arm(key))
        throw UsageError(place(file, key_name.source()) + "an arm cannot set '" + key.name +
                         "': all arms of a comparison share it");
      set_at(scratch, key.name, value, file);
      values[key.name] = key.get(scratch);
    }
    config.own_arms[std::string(name.str())] = values;
    order.emplace_back(name.source().begin.line, name.str());
  }
  std::sort(order.begin(), order.end());
  std::vector<std::string> names;
  for (const auto& [line, name] : order) names.push_back(name);
  return names;
}

template <class Rows>
bool has_row(const Rows& rows, const std::string& name) {
  return std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.name == name; });
}

/// One piece of an arm's name: "fa", "grapes", "constant:1.8", "constant-2", "ewc". @return the key it sets, or nothing
std::string key_of(const std::string& piece) {
  if (has_row(credit::routes(), piece)) return "route";
  if (has_row(credit::modulations(), piece.substr(0, piece.find_first_of(':')))) return "modulation";
  if (piece.starts_with("constant-")) return "modulation";
  if (has_row(continual::methods(), piece)) return "method";
  return "";
}

/// @throws UsageError with all names there are
[[noreturn]] void refuse_arm(const Config& config, const std::string& arm) {
  std::vector<std::string> names;
  for (const auto& [name, values] : config.own_arms) names.push_back(name);
  const auto add = [&](const auto& rows) {
    for (const auto& row : rows)
      if (row.name != "none") names.push_back(row.name);
  };
  add(credit::routes());
  add(credit::modulations());
  if (has_tasks(config)) add(continual::methods());
  throw UsageError("unknown arm '" + arm + "'" + did_you_mean(arm, names) + "; there are: " + join(names, ", ") +
                   ", and ROUTE+MODULATION" + (has_tasks(config) ? ", METHOD+MODULATION" : ""));
}

}  // namespace

const Key& find_key(std::string_view name) {
  for (const Key& key : keys())
    if (key.name == name) return key;
  std::vector<std::string> names;
  for (const Key& key : keys()) names.push_back(key.name);
  throw UsageError("unknown key '" + std::string(name) + "'" + did_you_mean(name, names));
}

void set(Config& config, std::string_view key, std::string_view value) { find_key(key).set(config, value); }

std::vector<std::string> read_toml(Config& config, const std::string& path) {
  return read_toml_text(config, read_file(path), path);
}

std::vector<std::string> read_toml_text(Config& config, const std::string& text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    throw UsageError(place(name, error.source()) + std::string(error.description()));
  }
  std::vector<std::string> given;
  if (const toml::node* task = table.get("task")) {
    if (!task->is_string())
      throw UsageError(place(name, task->source()) + "task takes the name of one, see grapes list tasks");
    begin_from(config, task->ref<std::string>());
  }
  for (const auto& [key_name, node] : table) {
    if (key_name == "task" || (key_name == "arm" && node.is_table())) continue;
    if (key_name == "arms" && node.is_table())
      throw UsageError(place(name, key_name.source()) +
                       "arms is the list of what is compared; an arm of your own is a table [arm.NAME]");
    set_at(config, find_key_at(key_name, name).name, node, name);
    given.emplace_back(key_name.str());
  }
  if (const toml::table* arms = table["arm"].as_table()) {
    const std::vector<std::string> names = read_arms(config, *arms, name);
    if (std::find(given.begin(), given.end(), "arms") == given.end()) {
      config.compare.arms = {"bp"};
      config.compare.arms.insert(config.compare.arms.end(), names.begin(), names.end());
    }
    given.emplace_back("arm");
  }
  return given;
}

std::string to_toml(const Config& config, bool comments) {
  const bool one_run = !config.arm.empty();
  std::ostringstream out;
  std::string group;
  for (const Key& key : keys()) {
    if (one_run && key.group == "compare") continue;
    if (one_run && !has_tasks(config) && (key.group == "continual" || key.group == "method")) continue;
    if (key.group != group) {
      out << (group.empty() ? "" : "\n") << "# " << key.group << "\n";
      group = key.group;
    }
    out << key.name << " = " << toml_value(key, key.get(config));
    if (comments) out << "  # " << key.meaning << " (" << key.values << ")";
    out << "\n";
  }
  if (one_run) return out.str();
  for (const auto& [name, values] : config.own_arms) {
    out << "\n[arm." << quote(name) << "]\n";
    for (const auto& [key, value] : values) out << key << " = " << toml_value(find_key(key), value) << "\n";
  }
  return out.str();
}

namespace {

/// Arrays that learn by pulses make no gradient.
void check_pulses(const Config& config) {
  if (!config.network.analog || !config.network.analog.updates()) return;
  const std::string of = config.arm.empty() ? "analog" : "arm '" + config.arm + "': analog",
                    advice = " (or leave update out of analog-real)";
  if (config.optimizer.optimizer != "sgd")
    throw UsageError(of + ": arrays learn by pulses, which are sgd; optimizer is " + config.optimizer.optimizer +
                     advice);
  if (config.optimizer.weight_decay != 0)
    throw UsageError(of + ": arrays learn by pulses, without weight decay; weight-decay is " +
                     shortest(config.optimizer.weight_decay) + advice);
  if (find_row(continual::methods(), "method", config.continual.method).gradients)
    throw UsageError(of + ": arrays learn by pulses, without the gradients that method " + config.continual.method +
                     " needs" + advice);
}

}  // namespace

void check(const Config& config) {
  optim::make_schedule(config.training.schedule, config.training.warm_up, config.training.epochs);
  if (!has_tasks(config) && config.continual.method != "none")
    throw UsageError("method = '" + config.continual.method + "' is for tasks, one after the other: set scenario");
  if (has_tasks(config) && (config.training.patience > 0 || config.training.carry_remainder))
    throw UsageError("patience and carry-remainder are for one task, but scenario = '" + config.continual.scenario +
                     "' has several");
  check_pulses(config);
  if (config.compare.sweep.empty() && !config.compare.sweep_values.empty())
    throw UsageError("sweep-values are those of sweep, which is not given");
  if (!config.compare.sweep.empty() && has_tasks(config))
    throw UsageError("sweep is for one task, but scenario = '" + config.continual.scenario + "' has several");
  if (!config.arm.empty()) return;
  std::set<std::string> labels;
  for (const std::string& arm : config.compare.arms) {
    const Config own = with_arm(config, arm);
    if (!labels.insert(own.arm).second) throw UsageError("arms: '" + arm + "' stands there twice");
    check_pulses(own);
  }
  if (config.compare.tune && config.data.validation == 0)
    throw UsageError("tune = true needs validation examples to choose by, but validation = 0");
}

std::string arm_label(const Config& config) {
  if (!config.arm.empty()) return config.arm;
  Config unlabeled;
  unlabeled.network.rule = config.network.rule;
  const std::string& method = config.continual.method;
  const std::string& route = config.network.rule.route;
  const std::string modulation = find_key("modulation").get(unlabeled);
  std::vector<std::string> pieces;
  if (method != "none") pieces.push_back(method);
  if (route != "bp") pieces.push_back(route);
  if (modulation != "none") pieces.push_back(modulation);
  return pieces.empty() ? "bp" : join(pieces, "+");
}

Config with_arm(Config config, const std::string& arm) {
  const auto own = config.own_arms.find(arm);
  if (own != config.own_arms.end()) {
    for (const auto& [key, value] : own->second) set(config, key, value);
    config.arm = arm;
  } else {
    std::map<std::string, std::string> given = {{"method", "none"}, {"route", "bp"}, {"modulation", "none"}};
    std::set<std::string> named;
    bool as_written = false;
    for (const std::string& piece : split(arm, '+')) {
      const std::string key = key_of(piece);
      if (key.empty() || !named.insert(key).second) refuse_arm(config, arm);
      const bool dash = piece.starts_with("constant-");
      as_written = as_written || dash;
      given[key] = dash ? "constant:" + piece.substr(std::string("constant-").size()) : piece;
    }
    for (const auto& [key, value] : given) set(config, key, value);
    config.arm.clear();
    config.arm = as_written ? arm : arm_label(config);
  }
  config.compare = {};
  config.own_arms.clear();
  return config;
}

std::string pairing(const Config& config, const std::string& data_fingerprint) {
  static const std::set<std::string> others = {"model",    "bias",      "norm",    "initializer", "batch",
                                               "epochs",   "recurrent", "encoder", "steps",       "peak-rate",
                                               "patience", "scenario",  "tasks",   "manifest"};
  std::string text = data_fingerprint;
  for (const Key& key : keys())
    if ((key.group == "data" && key.name != "data-dir" && key.name != "download") || others.count(key.name))
      text += "\n" + key.name + "=" + key.get(config);
  return sha256(text).substr(0, 16);
}

}  // namespace grapes::experiment
