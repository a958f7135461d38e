#pragma once

#include "grapes/experiment/config.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// The table of keys. The command line, TOML files, the record, `grapes list keys`, pairing, arms and sweeps follow it.
namespace grapes::experiment {

/// What a key means where runs are compared. Every row takes one of the values in namespace scope.
struct Scope {
  bool arms = false;     ///< the arms of a comparison may differ in it: a table [arm.NAME] can set it
  bool pairing = false;  ///< it decides the initial weights, the examples or their order: see pairing()
  bool sweep = false;    ///< a comparison can be repeated at several values of it
  bool resume = false;   ///< it may change when a run is resumed: it decides where and how fast, not what is computed
};
namespace scope {
inline constexpr Scope examples{.pairing = true};                            ///< what is learned from
inline constexpr Scope start{.arms = true, .pairing = true, .sweep = true};  ///< the network and how much it sees
inline constexpr Scope learning{.arms = true, .sweep = true};                ///< how the network learns
inline constexpr Scope rule{.arms = true};                                   ///< what the name of an arm says
inline constexpr Scope comparison{};                                         ///< one value for all runs of a comparison
inline constexpr Scope machine{.resume = true};                              ///< where the computation happens
}  // namespace scope

/// One row of the table.
struct Key {
  enum class Kind { text, number, flag, texts, numbers };  ///< how TOML writes it: "x", 1, true, ["x", "y"], [1, 2]
  std::string name;     ///< "learning-rate": --learning-rate on the command line, learning-rate = ... in TOML
  std::string group;    ///< heading in the help: "data", "model", "analog", "spiking", "rule", "optimizer", "training",
                        ///< "continual", "method", "compare", "compatibility", "machine"
  std::string meaning;  ///< one line, with unit
  std::string takes;    ///< "NUMBER > 0", "relu|tanh|...", "true|false", ...
  Kind kind = Kind::text;
  Scope scope;
  std::function<std::string(const Config&)> get;  ///< as text; lists joined by commas
  /// @throws UsageError that names the key, the value and what the key takes
  std::function<void(Config&, std::string_view)> set;
  std::vector<std::string> synonyms;  ///< other names that the field has for it; suggestions know them
  std::string abbreviation = {};      ///< the one that the command line accepts: "lr"

  Key abbreviated(std::string word) const;
};

const std::vector<Key>& keys();
/// Whether a key has a meaning only for a comparison, or only for several tasks learned one after the other.
inline bool of_comparisons(const Key& key) { return key.group == "compare"; }
inline bool of_tasks(const Key& key) { return key.group == "continual" || key.group == "method"; }
/// @throws UsageError that suggests the nearest name
const Key& find_key(std::string_view name);
/// The name in the table for a synonym or another spelling: "batch_size" and "bs" give "batch-size". Other words come
/// back with dashes for underscores.
std::string standard_name(std::string_view word);

/// Sets one key by name. @throws UsageError
void set(Config& config, std::string_view key, std::string_view value);

/// Adds a row to the table for as long as it lives. For tests: the program's rows are in network_keys.cpp
/// and training_keys.cpp.
class AddedKey final {
 public:
  explicit AddedKey(Key key);
  ~AddedKey();
  AddedKey(const AddedKey&) = delete;
  AddedKey& operator=(const AddedKey&) = delete;
};

}  // namespace grapes::experiment
