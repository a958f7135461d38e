#pragma once

#include "grapes/experiment/config.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// The table of keys. The command line, TOML files, the record, `grapes list keys`, pairing, arms and sweeps use it.
namespace grapes::experiment {

/// The role of a key when runs are compared. Every row uses one of the constants below.
struct Scope {
  bool arms = false;     ///< arms of a comparison may have different values: a table [arm.NAME] can set it
  bool pairing = false;  ///< affects the initial weights, the examples or their order, see pairing()
  bool sweep = false;    ///< a comparison can be repeated at several values of it
  bool resume = false;   ///< may change when a run resumes, because it does not affect the results
};
namespace scope {
inline constexpr Scope examples{.pairing = true};  ///< the training examples
inline constexpr Scope start{
    .arms = true, .pairing = true, .sweep = true};             ///< the network, and how many examples it sees
inline constexpr Scope learning{.arms = true, .sweep = true};  ///< how the network learns
inline constexpr Scope rule{.arms = true};                     ///< part of an arm's name
inline constexpr Scope comparison{};                           ///< the same for all runs of a comparison
inline constexpr Scope machine{.resume = true};                ///< where the computation runs
}  // namespace scope

/// A row of the table.
struct Key {
  enum class Kind { text, number, flag, texts, numbers };  ///< form in TOML: "x", 1, true, ["x", "y"], [1, 2]
  std::string name;     ///< "learning-rate": --learning-rate on the command line, learning-rate = ... in TOML
  std::string group;    ///< heading in the help: "data", "model", "analog", "spiking", "rule", "optimizer", "training",
                        ///< "continual", "method", "compare", "compatibility", "machine"
  std::string meaning;  ///< one line, with unit
  std::string takes;    ///< valid values: "NUMBER > 0", "relu|tanh|...", "true|false", ...
  Kind kind = Kind::text;
  Scope scope;
  std::function<std::string(const Config&)> get;  ///< as text; lists are joined by commas
  /// @throws UsageError with the key, the value and the valid values
  std::function<void(Config&, std::string_view)> set;
  std::vector<std::string> synonyms;  ///< other common names, for suggestions
  std::string abbreviation = {};      ///< accepted on the command line: "lr"

  Key abbreviated(std::string word) const;
};

const std::vector<Key>& keys();
/// Whether a key is only for comparisons, or only for continual learning.
inline bool of_comparisons(const Key& key) { return key.group == "compare"; }
inline bool of_tasks(const Key& key) { return key.group == "continual" || key.group == "method"; }
/// @throws UsageError that suggests the nearest name
const Key& find_key(std::string_view name);
/// Returns the key's name for a synonym or another spelling: "batch_size" and "bs" give "batch-size". Unknown words are
/// returned with dashes instead of underscores.
std::string standard_name(std::string_view word);

/// Sets one key by name. @throws UsageError
void set(Config& config, std::string_view key, std::string_view value);

/// Adds a row to the table during its lifetime, for tests. The program's rows are in network_keys.cpp and
/// training_keys.cpp.
class AddedKey final {
 public:
  explicit AddedKey(Key key);
  ~AddedKey();
  AddedKey(const AddedKey&) = delete;
  AddedKey& operator=(const AddedKey&) = delete;
};

}  // namespace grapes::experiment
