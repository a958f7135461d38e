#pragma once

#include "grapes/experiment/pool.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace grapes::experiment {

/// Where each arm's learning rate was chosen, and how: on validation examples, with seeds the comparison does not use.
struct Tuning {
  std::map<std::string, double> chosen;  ///< arm -> learning rate
  /// {"grid": [...], "epochs": E, "seeds": S, "arms": {"bp": {"chosen": 0.1, "tried": [{"learning_rate": 0.05,
  /// "validation_mean": 0.85, "validation": [0.85, ...]}, ...]}}}; null stands for a run that diverged
  record::Json record;
};

/// @throws UsageError if there are no validation examples to choose by
void check_tuning(const data::Splits& splits);

/// Train every arm at every rate of compare.grid on every tuning seed, and take the rate with the best mean final
/// validation score; the smaller one where two are equal. A run that diverged counts as -infinity. The test examples
/// are taken away before. An arm of one's own that names its learning rate keeps it. Runs lie in
/// FOLDER/ARM/RATE/seed-K.
/// @return nothing if a signal came
std::optional<Tuning> tune(const Config& config, const std::map<std::string, Config>& arms, data::Splits splits,
                           const std::filesystem::path& folder, std::int64_t workers, const Overview& overview);

}  // namespace grapes::experiment
