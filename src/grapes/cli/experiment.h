#pragma once

#include "grapes/cli/program.h"
#include "grapes/cli/progress.h"
#include "grapes/cli/settings.h"
#include "grapes/data/open.h"
#include "grapes/record/record.h"
#include "grapes/report/report.h"

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace grapes::cli {

/// What `train`, `compare`, `continual` and `run` share: the keys and where the record goes.
struct Plan {
  Settings settings;
  std::string preset;  ///< --preset: the row of presets() to begin from
  std::string file;    ///< --config, or the argument of `run`
  bool print_config = false;
  std::string out, resume, init, save;
  bool json = false;
};
using PlanPtr = std::shared_ptr<Plan>;

/// Adds the options of a plan to a verb.
/// @param training  also those that only a single run has (--init, --save)
/// @param standard  the configuration that the verb begins from
PlanPtr add_plan(CLI::App& verb, bool training, const std::set<std::string>& leave_out = {},
                 const experiment::Config& standard = {});

/// Adds --config.
void add_config(CLI::App& verb, std::string& file);

/// The preset, then the file, then the options, over what `config` holds; or with --resume the configuration of that
/// record. @return the keys that the file and the options gave
/// @throws UsageError for an option that would change a record
std::set<std::string> configure(const Plan& plan, experiment::Config& config);
/// With --print-config prints the configuration. @return whether it did
bool print_config(const Plan& plan, const experiment::Config& config);

/// Where the record goes: --out or --resume, or a fresh folder runs/<UTC time>-NAME.
/// @throws DataError if --out names a folder that has something in it, or a file
std::filesystem::path record_folder(const Plan& plan, const std::string& name);

/// Reads the data, with a bar for downloads, and prints a line about it.
data::Splits open_data(const Program& program, const experiment::Config& config, ProgressBar& bar);

/// The names of some keys, for a verb to leave out: `which` is of_tasks or of_comparisons.
std::set<std::string> names_of(bool (*which)(const experiment::Key&));
/// A comparison's table and findings, on stdout.
void print(const report::Summary& summary);

/// One run, from the checked configuration to its result on stdout.
Exit train(const Program& program, experiment::Config config, const Plan& plan);
/// Arms × seeds likewise.
Exit compare(const Program& program, const experiment::Config& config, const Plan& plan);

}  // namespace grapes::cli
