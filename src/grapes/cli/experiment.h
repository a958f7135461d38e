#pragma once

#include "grapes/cli/program.h"
#include "grapes/cli/progress.h"
#include "grapes/cli/settings.h"
#include "grapes/data/open.h"
#include "grapes/experiment/study.h"
#include "grapes/record/record.h"
#include "grapes/report/report.h"

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace grapes::cli {

/// Options shared by `train`, `compare`, `continual` and `run`.
struct Plan {
  std::string verb;
  Settings settings;
  std::string preset;  ///< --preset: a name in presets()
  std::string file;    ///< --config, or the argument of `run`
  bool print_config = false;
  std::string out, resume, init, from, save;
  bool json = false;
  std::string shard;      ///< --shard: "", "auto" or "i/N"
  double heartbeat = 10;  ///< seconds, of --shard auto
  bool list = false;      ///< --plan
};
using PlanPtr = std::shared_ptr<Plan>;

/// Adds the options of a plan to a verb.
/// @param training  add the options of single runs too (--init, --save)
/// @param standard  the verb's default configuration
PlanPtr add_plan(CLI::App& verb, bool training, const std::set<std::string>& leave_out = {},
                 const experiment::Config& standard = {});

/// Adds the options with which several processes share a study: --shard, --heartbeat, --plan.
void add_sharing(CLI::App& verb, Plan& plan);

/// Adds the option --config.
void add_config(CLI::App& verb, std::string& file);

/// Applies the preset or the configuration of --from, the file and the options in this order; with --resume reads the
/// configuration of that record.
/// @return the keys that the file and the options set
/// @throws UsageError for an option that would change a record
std::set<std::string> configure(const Plan& plan, experiment::Config& config);
/// Prints the configuration if --print-config is given. @return whether it did
bool print_config(const Plan& plan, const experiment::Config& config);

/// The folder of a record, and whether the record is created or resumed.
struct RecordFolder {
  std::filesystem::path path;
  experiment::Begin begin = experiment::Begin::create;
};
/// Returns the folder of --resume; or that of --out, whose record is resumed if it has the same settings; or a new
/// folder runs/<UTC time>-NAME.
/// @throws UsageError if --out has a record of other settings; DataError if it is a file or has other content
RecordFolder record_folder(const Plan& plan, const experiment::Config& config, const std::string& name);

/// Returns runs/TIME-NAME.
std::filesystem::path default_folder(const std::string& time, const std::string& name);

/// Opens the data, with a progress bar for downloads, and prints a line about it.
/// @param fitted  of a trained model, see data::open()
data::Splits open_data(const Program& program, const experiment::Config& config, ProgressBar& bar,
                       const data::Fitted* fitted = nullptr);

/// Returns the names of keys that a verb leaves out: `which` is of_tasks or of_comparisons.
std::set<std::string> names_of(bool (*which)(const experiment::Key&));
/// Prints a comparison's table and findings to stdout.
void print(const report::Summary& summary);

/// Runs one training and prints its result to stdout.
Exit train(const Program& program, experiment::Config config, const Plan& plan);
/// Runs a comparison and prints its result to stdout; or with --plan prints its runs.
Exit compare(const Program& program, const experiment::Config& config, const Plan& plan);

}  // namespace grapes::cli
