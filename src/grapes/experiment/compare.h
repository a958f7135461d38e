#pragma once

#include "grapes/experiment/pool.h"
#include "grapes/report/summary.h"

#include <filesystem>
#include <optional>

namespace grapes::experiment {

/// The result of a comparison: arms × seeds, paired, so that for each seed every arm starts from the same weights and
/// sees the examples in the same order. With `tune`, each arm's learning rate is first chosen on validation data, with
/// tuning seeds that the comparison does not use. Files:
///     FOLDER/compare.json, config.toml, env.json, status.json, log.txt, report.html, summary.json, picture.svg
///     FOLDER/tuning/ARM/RATE/seed-K/     FOLDER/arms/ARM/seed-K/     one run each
/// With several tasks (continual.scenario), arms also run at the given rate if another one was chosen:
/// FOLDER/arms/ARM/rate-RATE/seed-K/. compare.json: {"arms": [...], "seeds": [...], "learning_rates": {ARM: RATE},
/// "given_rates": {ARM: RATE before tuning}, "tuning": see Tuning, or null}. A diverged run is recorded and the others
/// continue. After a signal all workers write their checkpoints and end. With `resume`, finished runs are kept,
/// unfinished ones continue, and chosen learning rates are kept.
struct Outcome {
  /// Diverged if any run outside tuning diverged; interrupted; else finished.
  record::State state = record::State::finished;
  std::filesystem::path report;            ///< the page, if one was written
  std::optional<report::Summary> summary;  ///< empty if no run has finished
};
/// Returns the configuration as text without the keys that may change when a comparison resumes (Scope::resume).
std::string lasting(Config config);

/// Runs a comparison.
/// @throws UsageError for an invalid configuration, or with `resume` for another configuration than before; DataError
///   if the folder already contains a comparison, or with `resume` none. These are thrown before anything is written.
///   Exceptions of a run are thrown after the other runs have ended.
Outcome compare(const Config& config, const data::Splits& splits, const std::filesystem::path& folder, bool resume,
                const Overview& overview);

}  // namespace grapes::experiment
