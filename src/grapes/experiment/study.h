#pragma once

#include "grapes/experiment/pool.h"
#include "grapes/report/summary.h"

#include <filesystem>
#include <optional>

namespace grapes::experiment {

/// A study is one comparison, or a sweep: one comparison for each value of a setting. A comparison has a run for each
/// of its arms and seeds. The runs are paired: with the same seed, every arm starts from the same weights and sees the
/// examples in the same order. With `tune`, the learning rate of each arm is first chosen on validation data, with
/// seeds that the comparison does not use. The runs of an arm begin as soon as its own rate is chosen.
///
/// The files of a comparison:
///     FOLDER/compare.json, config.toml, env.json, status.json, log.txt, report.html, summary.json, picture.svg
///     FOLDER/tuning/ARM/RATE/seed-K/     a run that helps to choose a rate
///     FOLDER/arms/ARM/seed-K/            a run of the comparison
/// With several tasks (continual.scenario), an arm also runs at the given rate if another one was chosen, and its runs
/// are in FOLDER/arms/ARM/rate-RATE/seed-K/. compare.json is {"arms": [...], "seeds": [...], "learning_rates":
/// {ARM: RATE}, "given_rates": {ARM: RATE before tuning}, "tuning": see tuning_record(), or null until all are chosen,
/// "smallest_effect": as the tables write it}.
///
/// If a run diverges, this is its result, and the others continue. After a signal, all runs write their checkpoints and
/// stop. A study that is resumed keeps the runs that have ended and the learning rates that were chosen, and continues
/// the others.
struct Outcome {
  /// - diverged: at least one run that does not choose a rate diverged
  /// - interrupted: by a signal
  /// - running: other processes have not ended their runs
  /// - finished: none of these
  record::State state = record::State::finished;
  std::size_t done = 0, runs = 0;          ///< number of runs that have ended, and of all runs
  std::filesystem::path report;            ///< the page, if one was written
  std::optional<report::Summary> summary;  ///< empty if no run has finished, or not all have ended
};

/// What a study expects in its folder: no record (create), a record (resume), or either (join).
enum class Begin { create, resume, join };

/// Returns the configuration as text without the keys that may change when a study is resumed (Scope::resume).
std::string lasting(Config config);
/// Checks that the record in a folder has these settings, apart from those that may change.
/// @throws UsageError that names the first other setting
void check_same(const Config& config, const std::filesystem::path& folder);

/// Runs a study of one comparison. If several processes share it (Shard), each of them writes its own log in
/// FOLDER/logs instead of log.txt.
/// @throws UsageError if the configuration is invalid, or is not that of the study to resume; DataError if the folder
///   has no record to resume, or has one although a new one was to be created. These are thrown before anything is
///   written. An exception of a run is thrown after the other runs of this process have stopped.
Outcome compare(const Config& config, const data::Splits& splits, const std::filesystem::path& folder, Begin how,
                const Overview& overview, const Shard& shard = {});

class Comparison;
/// Carries out the runs of all comparisons of a study in one pool, and writes their reports. If workers have begun the
/// study, this process claims its runs too, even if `shard` says that it has all runs.
/// @param all  on which check() was called
/// @return an outcome for each comparison if all runs have ended, else one that says why not
std::vector<Outcome> carry_out(std::vector<Comparison>& all, const data::Splits& splits,
                               const std::filesystem::path& study, Begin how, const Overview& overview, Shard shard);

}  // namespace grapes::experiment
