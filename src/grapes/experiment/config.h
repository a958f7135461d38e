#pragma once

#include "grapes/continual/options.h"
#include "grapes/data/open.h"
#include "grapes/nn/network.h"
#include "grapes/optim/optimizer.h"
#include "grapes/train/options.h"

#include <map>
#include <string>
#include <vector>

/// The configuration: the options of all modules. key.h has its keys.
namespace grapes::experiment {

/// A comparison repeated at several values of a key. `text` contains {} for the value.
struct Sweep {
  std::string key, text;
  explicit operator bool() const { return !key.empty(); }
};

struct CompareOptions {
  std::vector<std::string> arms = {"bp", "grapes", "grapes-local", "uniform", "shuffled"};
  std::int64_t seeds = 5;  ///< runs per arm, with seeds seed, seed+1, ...
  bool tune = false;       ///< choose each arm's learning rate from `grid` on validation data
  std::vector<double> grid = {0.02, 0.05, 0.1, 0.2, 0.4};
  std::int64_t extend_grid = 0;  ///< how many times an arm's grid may be extended at one of its ends
  std::int64_t tune_epochs = 0;  ///< 0: the same as `epochs`
  std::int64_t tune_seeds = 1;
  Sweep sweep;
  std::vector<double> sweep_values;  ///< values that replace {}
  double target = 0;                 ///< score for "epochs to target"; 0: 98 % of the baseline's final mean
  double smallest_effect = 0;        ///< smallest difference that matters, as the tables write it; 0: not known
};

struct Config {
  data::Options data;
  nn::Options network;
  optim::Options optimizer;
  train::Options training;
  continual::Options continual;
  CompareOptions compare;
  std::int64_t threads = 1;     ///< per run
  std::int64_t jobs = 0;        ///< number of parallel runs; 0: cores / threads
  double timeout = 120;         ///< of a training in several processes: seconds to wait for the others
  std::string initial_weights;  ///< a safetensors file, with {seed} for the run's seed; "": they are drawn
  bool grow = false;            ///< initial_weights are those of a network with fewer hidden layers, see train::grown()
  std::string arm;              ///< label in the record; not "": this is a single run, not a comparison
  /// [arm.NAME] in TOML: name -> key -> value.
  std::map<std::string, std::map<std::string, std::string>> own_arms;
};

/// Checks keys that depend on each other. @throws UsageError
void check(const Config& config);

/// Checks that batches can be divided over processes and parts with the same result.
/// @throws UsageError with the setting whose result depends on the division
void check_divisible(const Config& config);

/// Checks that a run of `epochs` epochs can be continued to config.training.epochs, as if it had been that long from
/// the start.
/// @throws UsageError for fewer epochs, a comparison, several tasks, or a schedule that depends on the number of epochs
void check_longer(const Config& config, std::int64_t epochs);

/// Whether there are several tasks.
inline bool has_tasks(const Config& config) { return config.continual.scenario != "none"; }
/// Number of epochs of a whole run, over all tasks.
inline std::int64_t epochs_of(const Config& config) {
  return config.training.epochs * (has_tasks(config) ? config.continual.tasks : 1);
}

/// Returns a hash of the keys of Scope::pairing and of the data. Runs with the same pairing and seed have the same
/// initial weights and see the same examples in the same order, for any rule, optimizer and learning rate.
std::string pairing(const Config& config, const std::string& data_fingerprint);

}  // namespace grapes::experiment
