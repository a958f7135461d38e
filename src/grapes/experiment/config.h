#pragma once

#include "grapes/continual/options.h"
#include "grapes/data/open.h"
#include "grapes/nn/network.h"
#include "grapes/optim/optimizer.h"
#include "grapes/train/trainer.h"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// A configuration is the options of every room, one after the other. One table of keys reads and writes it: the
/// command line, the TOML files, --print-config, the record and the documents are made from that table.
namespace grapes::experiment {

/// Keys of `grapes compare`.
struct CompareOptions {
  std::vector<std::string> arms = {"bp", "grapes", "grapes-local", "uniform", "shuffled"};
  std::int64_t seeds = 5;  ///< runs per arm, with seeds seed, seed+1, ...
  bool tune = false;       ///< choose each arm's learning rate from `grid` on validation data
  std::vector<double> grid = {0.02, 0.05, 0.1, 0.2, 0.4};
  std::int64_t tune_epochs = 0;  ///< 0: as many as `epochs`
  std::int64_t tune_seeds = 1;
  std::string sweep;                 ///< KEY=TEXT with {}: the comparison is made at each of the values; or ""
  std::vector<double> sweep_values;  ///< what goes in place of {}
  double target = 0;                 ///< score for "epochs to target"; 0: 98 % of the baseline's final mean
};

struct Config {
  data::Options data;
  nn::Options network;
  optim::Options optimizer;
  train::Options training;
  continual::Options continual;
  CompareOptions compare;
  std::int64_t threads = 1;  ///< per run
  std::int64_t jobs = 0;     ///< runs at the same time; 0: as many as there are cores / threads
  std::string arm;           ///< label in the record; not "" means: this is one run, not a comparison
  /// Arms of one's own: name -> key -> value ([arm.NAME] in TOML).
  std::map<std::string, std::map<std::string, std::string>> own_arms;
};

/// One row per key.
struct Key {
  enum class Kind { text, number, flag, texts, numbers };  ///< how TOML writes it: "x", 1, true, ["x", "y"], [1, 2]
  std::string name;   ///< "learning-rate": --learning-rate on the command line, learning-rate = ... in TOML
  std::string group;  ///< "data", "model", "analog", "spiking", "rule", "optimizer", "training", "continual", "method",
                      ///< "compare", "authors" (oddities), "machine"
  std::string meaning;  ///< one line, with unit
  std::string values;   ///< "NUMBER > 0", "relu|tanh|...", "true|false", ...
  Kind kind = Kind::text;
  std::function<std::string(const Config&)> get;  ///< as text; lists joined by commas
  std::function<void(Config&, std::string_view)>
      set;  ///< @throws UsageError: names the key, the value and what it takes
};
const std::vector<Key>& keys();
/// @throws UsageError that offers the nearest
const Key& find_key(std::string_view name);

/// Set one key by name. @throws UsageError with the nearest name if there is no such key
void set(Config& config, std::string_view key, std::string_view value);
/// Read a TOML file over `config`; the key task = "NAME" begins from a row of tasks(), wherever it stands. Where arms
/// of one's own are defined and `arms` is not given, the arms are bp and these.
/// @return the keys that the text gives, "arm" among them if it has [arm.NAME] tables
/// @throws UsageError: file, line and column of a broken or unknown key, nearest name; DataError if the file is missing
std::vector<std::string> read_toml(Config& config, const std::string& path);
std::vector<std::string> read_toml_text(Config& config, const std::string& text, const std::string& name);
/// The whole configuration as TOML that read_toml accepts, grouped, with each key's meaning as a comment if `comments`.
/// A configuration with a label is one run: the keys of `compare` are left out, and those of tasks where it has one.
std::string to_toml(const Config& config, bool comments = false);
/// What no single key can know: ranges that depend on each other, names in tables. @throws UsageError
void check(const Config& config);

/// Whether there are tasks, learnt one after the other.
inline bool has_tasks(const Config& config) { return config.continual.scenario != "none"; }
/// Passes over training examples in a whole run.
inline std::int64_t epochs_of(const Config& config) {
  return config.training.epochs * (has_tasks(config) ? config.continual.tasks : 1);
}

/// The label an arm gets by itself: "bp", "grapes", "uniform", "fa", "fa+grapes", "constant:1.85", "ewc+grapes", ...
std::string arm_label(const Config& config);
/// The configuration of one run of an arm, labeled, without the keys of `compare`. An arm is one of own_arms, or at
/// most one each of METHOD (of continual learning), ROUTE and MODULATION with + between them, with constant:C1,C2 for
/// constants, or constant-C; "none", "bp" and "none" where one is not named.
/// @throws UsageError with the nearest name
Config with_arm(Config config, const std::string& arm);
/// Hash of what decides the initial weights, the examples and their order, besides the seed: runs with the same pairing
/// and seed began alike and saw the same, whatever their rule, optimizer and learning rate.
std::string pairing(const Config& config, const std::string& data_fingerprint);

}  // namespace grapes::experiment
