#include "grapes/cli/experiment.h"

#include "grapes/base/text.h"
#include "grapes/experiment/tasks.h"

#include <fmt/format.h>

namespace grapes::cli {
namespace fs = std::filesystem;
namespace {

/// A label as part of a file name.
std::string file_name(std::string label) {
  for (char& c : label)
    if (std::string_view("/\\:*?\"<>| ").find(c) != std::string_view::npos) c = '-';
  return label;
}

std::string count(const data::DatasetPtr& part) { return part ? std::to_string(part->size()) : "0"; }

}  // namespace

PlanPtr add_plan(CLI::App& verb, bool training, const std::set<std::string>& leave_out,
                 const experiment::Config& standard) {
  auto plan = std::make_shared<Plan>();
  std::vector<std::string> names;
  for (const experiment::TaskRow& row : experiment::tasks()) names.push_back(row.name);
  verb.add_option("--task", plan->task, "begin from a problem with fitting settings: " + join(names, ", "))
      ->check(CLI::IsMember(names).description(""))
      ->type_name("NAME");
  verb.add_flag("--print-config", plan->print_config, "print the whole configuration as TOML, and end");
  verb.add_option("--out", plan->out, "the record's folder [runs/<UTC time>-<name>]")->type_name("FOLDER");
  verb.add_option("--resume", plan->resume, "go on with the record in this folder")->type_name("FOLDER");
  if (training) {
    verb.add_option("--init", plan->init, "initial weights, under the names of a checkpoint")
        ->type_name("FILE.safetensors");
    verb.add_option("--save", plan->save, "also write the last checkpoint here")->type_name("FILE.safetensors");
  }
  verb.add_flag("--json", plan->json, "the result as one JSON document");
  plan->settings.add(verb, {}, leave_out, standard);
  return plan;
}

std::vector<std::string> configure(const Plan& plan, experiment::Config& config) {
  std::vector<std::string> given;
  if (!plan.task.empty()) experiment::begin_from(config, plan.task);
  if (!plan.file.empty()) given = experiment::read_toml(config, plan.file);
  plan.settings.apply(config);
  return given;
}

experiment::Config resumed(const Plan& plan) {
  if (!plan.out.empty()) throw UsageError("--resume and --out exclude each other: a record stays in its folder");
  if (!plan.init.empty()) throw UsageError("--resume and --init exclude each other: the checkpoint holds the weights");
  if (!plan.task.empty()) throw UsageError("--resume takes the configuration from its folder, not from a task");
  if (!plan.file.empty()) throw UsageError("--resume takes the configuration from its folder, not from a file");
  for (const std::string& name : plan.settings.given())
    for (const experiment::Key& key : experiment::keys())
      if (key.name == name && key.group != "machine" && key.name != "data-dir" && key.name != "download")
        throw UsageError("--resume goes on with the run as it was: --" + name +
                         " cannot be given (start a new run with --init for that)");
  experiment::Config config;
  experiment::read_toml(config, (fs::path(plan.resume) / "config.toml").string());
  plan.settings.apply(config);
  return config;
}

std::set<std::string> keys_of_tasks() {
  std::set<std::string> names;
  for (const experiment::Key& key : experiment::keys())
    if (key.group == "continual" || key.group == "method") names.insert(key.name);
  return names;
}

fs::path record_folder(const Plan& plan, const std::string& name) {
  if (!plan.resume.empty()) return plan.resume;
  std::error_code error;
  if (!plan.out.empty()) {
    if (fs::exists(plan.out, error) && (!fs::is_directory(plan.out, error) || !fs::is_empty(plan.out, error)))
      throw DataError("--out " + plan.out +
                      " exists already and is not an empty folder: choose another, or --resume it");
    return plan.out;
  }
  const fs::path first = fs::path("runs") / (utc_now("%Y%m%d-%H%M%S") + "-" + file_name(name));
  fs::path folder = first;
  for (int i = 2; fs::exists(folder, error); ++i) folder = fmt::format("{}-{}", first.string(), i);
  return folder;
}

data::Splits open_data(const Program& program, const experiment::Config& config, ProgressBar& bar) {
  data::Splits splits = data::open(config.data, config.training.seed, bar.downloads());
  bar.clear();
  const data::DatasetInfo& info = splits.info;
  std::vector<std::string> shape;
  for (const std::int64_t size : info.input_shape) shape.push_back(std::to_string(size));
  program.say(fmt::format("{}: {} training, {} validation, {} test examples; inputs {}; {} {}",
                          program.err().bold(splits.name), count(splits.train), count(splits.validation),
                          count(splits.test), join(shape, " x "), info.outputs,
                          info.problem == data::ProblemKind::classification ? "classes" : "targets"));
  for (const std::string& note : splits.notes) program.say("  note: " + note);
  return splits;
}

}  // namespace grapes::cli
