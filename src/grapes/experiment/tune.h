#pragma once

#include "grapes/experiment/pool.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

/// Learning rates of all arms, chosen on validation examples with seeds that the comparison does not use: every arm at
/// every rate of compare.grid with every tuning seed. While the best rate of an arm is the first or the last one, its
/// grid is extended by four rates on this side, at most compare.extend_grid times.
namespace grapes::experiment {

/// @throws UsageError if there are no validation examples
void check_tuning(const data::Splits& splits);

/// Returns the runs that choose the rates, without test examples, in FOLDER/ARM/RATE/seed-K. An [arm.NAME] that sets
/// its learning rate keeps it and has none. Those of an extension come last and wait for the runs before them; then
/// they receive their rates, or are not needed.
std::vector<Job> trials(const Config& config, const std::map<std::string, Config>& arms,
                        const std::filesystem::path& folder);

/// The choice for one arm from its trials, which have all ended.
struct Choice {
  double rate = 0;
  record::Json record;  ///< {"chosen": RATE, "tried": [{"learning_rate", "validation_mean", "validation": [...]}, ...]}
};
/// Chooses the rate with the best mean validation score at the end, and of equal ones the smaller. A diverged run
/// counts as -infinity, which is null in the record.
/// @param arm     the configuration of the arm, with the rate that it has without trials
/// @param folder  as for trials()
/// @throws RunError if a trial failed or has not ended
Choice choose(const Config& config, const Config& arm, const std::filesystem::path& folder);

/// Returns {"grid": [...], "epochs": E, "seeds": S, "arms": {}}; "arms" takes a Choice's record for each arm.
record::Json tuning_record(const Config& config);

}  // namespace grapes::experiment
