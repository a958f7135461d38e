#pragma once

#include "grapes/experiment/pool.h"
#include "grapes/report/summary.h"

#include <filesystem>
#include <optional>

namespace grapes::experiment {

/// Arms × seeds, paired: per seed every arm starts from the same weights and sees the same order. With `tune`, each
/// arm's learning rate is chosen first, on validation data of tuning seeds that the comparison does not use. Layout:
///     FOLDER/compare.json, config.toml, env.json, status.json, log.txt, report.html, summary.json, picture.svg
///     FOLDER/tuning/ARM/RATE/seed-K/     FOLDER/arms/ARM/seed-K/     one run each
/// Several tasks (continual.scenario) are learned at the given rate too, where another one was chosen:
/// FOLDER/arms/ARM/rate-RATE/seed-K/.
/// compare.json: {"arms": [...], "seeds": [...], "learning_rates": {ARM: RATE}, "given_rates": {ARM: RATE, before any
/// was chosen}, "tuning": see Tuning, or null}.
/// A diverged run is recorded and the rest goes on; after a signal all workers write their checkpoints and end. With
/// `resume` finished runs are kept, unfinished ones continue, and chosen learning rates stay.
struct Outcome {
  /// Diverged if any run of the comparison proper diverged; interrupted; else finished.
  record::State state = record::State::finished;
  std::filesystem::path report;            ///< the page, if there is one
  std::optional<report::Summary> summary;  ///< nothing if no run has finished
};
/// The configuration as text, without the keys that may change when a comparison is resumed (Scope::resume).
std::string lasting(Config config);

/// @throws UsageError for an impossible configuration, or with `resume` another one than before; DataError if the
/// folder holds a comparison already, or with `resume` none; all of these before anything is written. What a run
/// throws, after the others have ended
Outcome compare(const Config& config, const data::Splits& splits, const std::filesystem::path& folder, bool resume,
                const Overview& overview);

}  // namespace grapes::experiment
