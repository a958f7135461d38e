#include "grapes/cli/experiment.h"

#include "grapes/base/text.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/experiment/presets.h"
#include "grapes/experiment/toml.h"

#include <fmt/ranges.h>

#include <iostream>
#include <utility>

namespace grapes::cli {
namespace fs = std::filesystem;
namespace {

/// Converts a label to a part of a file name.
std::string file_name(std::string label) {
  for (char& c : label)
    if (std::string_view("/\\:*?\"<>| ").find(c) != std::string_view::npos) c = '-';
  return label;
}

std::string count(const data::DatasetPtr& part) { return part ? std::to_string(part->size()) : "0"; }

/// @param shared  another process may be about to write the first file
bool is_empty(const fs::path& folder, bool shared) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (!shared || entry->path().extension() != ".part") return false;
  return !error;
}

/// Returns the configuration in FOLDER/config.toml. @throws UsageError for an option that would change the record
experiment::Config resumed(const Plan& plan) {
  if (!plan.out.empty())
    throw UsageError("--resume and --out cannot be combined: a resumed record stays in its folder");
  if (!plan.from.empty())
    throw UsageError("--resume and --from cannot be combined: the configuration comes from the record");
  if (!plan.init.empty())
    throw UsageError("--resume and --init cannot be combined: the weights come from the checkpoint");
  if (!plan.preset.empty())
    throw UsageError("--resume and --preset cannot be combined: the configuration comes from the record");
  if (!plan.file.empty())
    throw UsageError("--resume cannot be combined with a configuration file: the configuration comes from the record");
  for (const std::string& name : plan.settings.given())
    if (!experiment::find_key(name).scope.resume && name != "epochs")
      throw UsageError("--resume continues the run unchanged: --" + name +
                       " cannot be given (start a new run with --init instead)");
  experiment::Config config;
  experiment::read_toml(config, (fs::path(plan.resume) / "config.toml").string());
  const std::int64_t epochs = config.training.epochs;
  plan.settings.apply(config);
  if (config.training.epochs != epochs) experiment::check_longer(config, epochs);
  return config;
}

}  // namespace

PlanPtr add_plan(CLI::App& verb, bool training, const std::set<std::string>& leave_out,
                 const experiment::Config& standard) {
  auto plan = std::make_shared<Plan>();
  plan->verb = verb.get_name();
  verb.add_option("--preset", plan->preset, "start from the settings for a known problem, see grapes list presets")
      ->type_name("NAME");
  verb.add_flag("--print-config", plan->print_config, "print all settings as TOML and exit");
  verb.add_option("--out", plan->out,
                  "folder of the record [runs/<UTC time>-<name>]; a record with the same settings in it is resumed")
      ->type_name("FOLDER");
  verb.add_option("--resume", plan->resume, "resume the run or comparison in this folder")->type_name("FOLDER");
  if (training) {
    verb.add_option("--from", plan->from,
                    "start from the settings and the weights of this checkpoint or run; options change the settings")
        ->type_name("CHECKPOINT|RUN");
    verb.add_option("--init", plan->init, "start from the weights of this checkpoint")->type_name("FILE.safetensors");
    verb.add_option("--save", plan->save, "also write the last checkpoint to this file")->type_name("FILE.safetensors");
  }
  verb.add_flag("--json", plan->json, "print the result as one JSON document");
  plan->settings.add(verb, {}, leave_out, standard);
  return plan;
}

void add_sharing(CLI::App& verb, Plan& plan) {
  verb.add_option("--shard", plan.shard,
                  "share the runs in the folder of --out with other processes, on this host or others: auto\n"
                  "(each claims the next run) or 3/8 (the third of eight parts, for job arrays)")
      ->type_name("auto|i/N");
  verb.add_option(
          "--heartbeat", plan.heartbeat,
          fmt::format("with --shard auto: seconds between two signs of life of a process. Others take a process\n"
                      "that misses {} of them for dead and continue its runs [10]",
                      experiment::Watch::patience))
      ->type_name("SECONDS");
  verb.add_flag("--plan", plan.list, "print a command for each run, for GNU parallel or a job array, and exit");
}

void add_config(CLI::App& verb, std::string& file) {
  verb.add_option("--config", file, "read settings from a TOML file; options on the command line override it")
      ->type_name("FILE.toml");
}

bool print_config(const Plan& plan, const experiment::Config& config) {
  if (plan.print_config) std::cout << experiment::to_toml(config, true);
  return plan.print_config;
}

std::set<std::string> configure(const Plan& plan, experiment::Config& config) {
  std::set<std::string> given = plan.settings.given();
  if (!plan.resume.empty()) {
    config = resumed(plan);
    return given;
  }
  if (!plan.preset.empty() && !plan.from.empty())
    throw UsageError("--from and --preset cannot be combined: both are settings to start from");
  if (!plan.preset.empty()) experiment::begin_from(config, plan.preset);
  if (!plan.from.empty()) {
    config = experiment::config_of(checkpoint_path(plan.from));
    config.arm.clear();
    config.initial_weights.clear();  // the checkpoint has what they have become
    config.grow = false;
  }
  if (!plan.file.empty())
    for (std::string& name : experiment::read_toml(config, plan.file)) given.insert(std::move(name));
  plan.settings.apply(config);
  return given;
}

std::set<std::string> names_of(bool (*which)(const experiment::Key&)) {
  std::set<std::string> names;
  for (const experiment::Key& key : experiment::keys())
    if (which(key)) names.insert(key.name);
  return names;
}

RecordFolder record_folder(const Plan& plan, const experiment::Config& config, const std::string& name) {
  using experiment::Begin;
  if (!plan.resume.empty()) return {plan.resume, Begin::resume};
  std::error_code error;
  if (!plan.out.empty()) {
    const fs::path out = plan.out;
    if (fs::exists(out / "config.toml", error) && plan.init.empty() && plan.from.empty()) {
      experiment::check_same(config, out);
      return {out, Begin::join};
    }
    if (fs::exists(out, error) && (!fs::is_directory(out, error) || !is_empty(out, !plan.shard.empty())))
      throw DataError("--out " + plan.out + " exists and is not an empty folder: choose another, or --resume it");
    return {out, plan.shard.empty() ? Begin::create : Begin::join};
  }
  if (!plan.shard.empty() || plan.list)
    throw UsageError("--shard and --plan need --out FOLDER: all processes must work in the same folder");
  const fs::path first = default_folder(utc_now("%Y%m%d-%H%M%S"), name);
  fs::path folder = first;
  for (int i = 2; fs::exists(folder, error); ++i) folder = fmt::format("{}-{}", first.string(), i);
  return {folder, Begin::create};
}

fs::path default_folder(const std::string& time, const std::string& name) {
  return fs::path("runs") / (time + "-" + file_name(name));
}

data::Splits open_data(const Program& program, const experiment::Config& config, ProgressBar& bar,
                       const data::Fitted* fitted) {
  data::Splits splits = data::open(config.data, config.training.seed, bar.downloads(), fitted);
  bar.clear();
  const data::DatasetInfo& info = splits.info;
  program.say(fmt::format("{}: {} training, {} validation, {} test examples; inputs {}; {} {}",
                          program.err().bold(splits.name), count(splits.train), count(splits.validation),
                          count(splits.test), fmt::join(info.input_shape, " x "), info.outputs,
                          info.problem == data::ProblemKind::classification ? "classes" : "targets"));
  for (const std::string& note : splits.notes) program.say("  note: " + note);
  return splits;
}

}  // namespace grapes::cli
