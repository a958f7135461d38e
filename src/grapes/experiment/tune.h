#pragma once

#include "grapes/experiment/pool.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace grapes::experiment {

/// Learning rates of all arms, chosen on validation examples with seeds that the comparison does not use.
struct Tuning {
  std::map<std::string, double> chosen;  ///< arm -> learning rate
  /// {"grid": [...], "epochs": E, "seeds": S, "arms": {"bp": {"chosen": 0.1, "tried": [{"learning_rate": 0.05,
  /// "validation_mean": 0.85, "validation": [0.85, ...]}, ...]}}}; null for a diverged run
  record::Json record;
};

/// @throws UsageError if there are no validation examples
void check_tuning(const data::Splits& splits);

/// Trains every arm at every rate of compare.grid with every tuning seed. For each arm it chooses the rate with the
/// best mean validation score at the end, and of equal ones the smaller. A diverged run counts as -infinity. The runs
/// have no test examples. An [arm.NAME] that sets its learning rate keeps it. Runs are in FOLDER/ARM/RATE/seed-K.
/// @return nothing after a signal
std::optional<Tuning> tune(const Config& config, const std::map<std::string, Config>& arms, data::Splits splits,
                           const std::filesystem::path& folder, std::int64_t workers, const Overview& overview);

}  // namespace grapes::experiment
