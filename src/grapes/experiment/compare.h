#pragma once

#include "grapes/experiment/pool.h"
#include "grapes/report/summary.h"

#include <filesystem>
#include <optional>

namespace grapes::experiment {

/// The result of a comparison: arms × seeds, paired, so that for each seed every arm starts from the same weights and
/// sees the examples in the same order. With `tune`, each arm's learning rate is first chosen on validation data, with
/// tuning seeds that the comparison does not use; an arm begins as soon as its own rate is chosen. Files:
///     FOLDER/compare.json, config.toml, env.json, status.json, log.txt, report.html, summary.json, picture.svg
///     FOLDER/tuning/ARM/RATE/seed-K/     FOLDER/arms/ARM/seed-K/     one run each
/// With several tasks (continual.scenario), arms also run at the given rate if another one was chosen:
/// FOLDER/arms/ARM/rate-RATE/seed-K/. compare.json: {"arms": [...], "seeds": [...], "learning_rates": {ARM: RATE},
/// "given_rates": {ARM: RATE before tuning}, "tuning": see tuning_record(), or null}. A diverged run is recorded and
/// the others continue. After a signal all runs write their checkpoints and end. With `resume`, finished runs are kept,
/// unfinished ones continue, and chosen learning rates are kept.
struct Outcome {
  /// Diverged if any run outside tuning diverged; interrupted; running if other shards have not done their part; else
  /// finished.
  record::State state = record::State::finished;
  std::size_t done = 0, runs = 0;          ///< runs that have ended, of all
  std::filesystem::path report;            ///< the page, if one was written
  std::optional<report::Summary> summary;  ///< empty if no run has finished, or not all have ended
};

/// What a study expects in its folder: no record (create), a record to resume (resume), or either (join).
enum class Begin { create, resume, join };

/// Returns the configuration as text without the keys that may change when a comparison resumes (Scope::resume).
std::string lasting(Config config);
/// Checks that the record in a folder has these settings, apart from those that may change.
/// @throws UsageError that names the first other setting
void check_same(const Config& config, const std::filesystem::path& folder);

/// Runs a comparison. Several processes that share it (Share) each write a log in FOLDER/logs instead of log.txt.
/// @throws UsageError for an invalid configuration, or to resume another configuration than before; DataError to create
///   one where there is one, or to resume where there is none. These are thrown before anything is written. Exceptions
///   of a run are thrown after the other runs of this process have ended.
Outcome compare(const Config& config, const data::Splits& splits, const std::filesystem::path& folder, Begin how,
                const Overview& overview, const Share& share = {});

class Comparison;
/// Carries out the runs of all comparisons of a study in one pool, and writes their reports. A study that workers have
/// begun is shared by claims even if `share` says alone.
/// @return an outcome for each; only the first if they are not complete
std::vector<Outcome> carry_out(std::vector<Comparison>& all, const data::Splits& splits,
                               const std::filesystem::path& study, Begin how, const Overview& overview, Share share);

}  // namespace grapes::experiment
