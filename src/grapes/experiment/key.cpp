#include "grapes/experiment/key.h"

#include "grapes/base/text.h"
#include "grapes/experiment/form.h"

#include <algorithm>
#include <utility>

namespace grapes::experiment {
namespace {

std::vector<Key>& table() {
  static std::vector<Key> rows = [] {
    std::vector<Key> keys = network_keys();
    for (Key& key : training_keys()) keys.push_back(std::move(key));
    return keys;
  }();
  return rows;
}

}  // namespace

std::vector<Key> table_of(const std::vector<std::pair<std::string, std::vector<Key>>>& groups) {
  std::vector<Key> table;
  for (const auto& [group, rows] : groups)
    for (const Key& row : rows) table.emplace_back(row).group = group;
  return table;
}

const std::vector<Key>& keys() { return table(); }

const Key& find_key(std::string_view name) {
  std::vector<std::string> names;
  for (const Key& key : keys()) {
    if (key.name == name) return key;
    names.push_back(key.name);
  }
  throw UsageError("unknown key '" + std::string(name) + "'" + did_you_mean(standard_name(name), names));
}

std::string standard_name(std::string_view word) {
  std::string name(word);
  std::replace(name.begin(), name.end(), '_', '-');
  for (const Key& key : keys())
    if (std::find(key.synonyms.begin(), key.synonyms.end(), name) != key.synonyms.end()) return key.name;
  return name;
}

void set(Config& config, std::string_view key, std::string_view value) { find_key(key).set(config, value); }

Key Key::abbreviated(std::string word) const {
  Key key = *this;
  key.abbreviation = word;
  key.synonyms.push_back(std::move(word));
  return key;
}

AddedKey::AddedKey(Key key) { table().push_back(std::move(key)); }
AddedKey::~AddedKey() { table().pop_back(); }

}  // namespace grapes::experiment
