#include "grapes/experiment/toml.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/key.h"
#include "grapes/experiment/presets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

namespace grapes::experiment {
namespace {

/// Quotes text for TOML, whose basic strings are those of JSON.
std::string quote(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string toml_value(const Key& key, const std::string& value) {
  switch (key.kind) {
    case Key::Kind::number:
    case Key::Kind::flag:
      return value;
    case Key::Kind::numbers:
      return fmt::format("[{}]", fmt::join(split(value, ','), ", "));
    case Key::Kind::texts: {
      std::vector<std::string> items = split_arms(value);
      std::transform(items.begin(), items.end(), items.begin(), quote);
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
    case Key::Kind::text:
      break;
  }
  return quote(value);
}

std::string place(const std::string& file, const toml::source_region& source) {
  return file + ":" + std::to_string(source.begin.line) + ":" + std::to_string(source.begin.column) + ": ";
}

/// Converts a TOML value to the text that Key::set takes.
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
  throw UsageError(place(file, node.source()) + key + ": expected text, a number, true or false, or a list of these");
}

/// Calls set() and adds the position in the file to its errors.
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

/// Reads [arm.NAME] tables, in the order of the file.
std::vector<std::string> read_arms(Config& config, const toml::table& arms, const std::string& file) {
  std::vector<std::pair<toml::source_index, std::string>> order;
  for (const auto& [name, node] : arms) {
    const toml::table* table = node.as_table();
    if (!table) throw UsageError(place(file, name.source()) + "expected a table [arm.NAME] for an arm of your own");
    std::map<std::string, std::string> values;
    Config scratch = config;
    for (const auto& [key_name, value] : *table) {
      const Key& key = find_key_at(key_name, file);
      if (!key.scope.arms)
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

}  // namespace

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
  if (const toml::node* preset = table.get("preset")) {
    if (!preset->is_string())
      throw UsageError(place(name, preset->source()) +
                       "preset: expected the name of a preset, see grapes list presets");
    begin_from(config, preset->ref<std::string>());
  }
  for (const auto& [key_name, node] : table) {
    if (key_name == "preset" || (key_name == "arm" && node.is_table())) continue;
    if (key_name == "arms" && node.is_table())
      throw UsageError(place(name, key_name.source()) +
                       "arms is the list of arms to compare; an arm of your own is a table [arm.NAME]");
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
    if (one_run && (of_comparisons(key) || (of_tasks(key) && !has_tasks(config)))) continue;
    if (key.group != group) {
      out << (group.empty() ? "" : "\n") << "# " << key.group << "\n";
      group = key.group;
    }
    out << key.name << " = " << toml_value(key, key.get(config));
    if (comments) out << "  # " << key.meaning << " (" << key.takes << ")";
    out << "\n";
  }
  if (one_run) return out.str();
  for (const auto& [name, values] : config.own_arms) {
    out << "\n[arm." << quote(name) << "]\n";
    for (const auto& [key, value] : values) out << key << " = " << toml_value(find_key(key), value) << "\n";
  }
  return out.str();
}

}  // namespace grapes::experiment
