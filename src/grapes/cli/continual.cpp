#include "grapes/base/interrupt.h"
#include "grapes/cli/experiment.h"
#include "grapes/continual/scenario.h"
#include "grapes/experiment/study.h"
#include "grapes/experiment/toml.h"

#include <fmt/format.h>

#include <iostream>
#include <set>
#include <string>

namespace grapes::cli {
namespace {

/// The verb's default configuration: the authors' network, optimizer and rate. In contrast to it, the authors scale
/// inputs differently, train on all 60,000 images, and permute the first task too.
const char* const standard_setup = R"(
scenario = "permuted"
tasks = 5
epochs = 1
batch-size = 64
model = "mlp:256,256"
optimizer = "momentum"
momentum = 0.9
learning-rate = 0.001
optimizer-state = "reset"
arms = ["bp", "grapes", "grapes-local", "uniform", "shuffled", "constant:2"]
seeds = 5
grid = [0.0003, 0.001, 0.003, 0.01, 0.03]
)";

/// Takes scenario and tasks from the manifest unless they are given. If they are given, run() compares them.
void take_manifest(experiment::Config& config, const std::set<std::string>& given) {
  if (config.continual.manifest.empty()) return;
  const record::Json manifest = continual::read_manifest(config.continual.manifest);
  if (!manifest.is_object() || !manifest.contains("scenario") || !manifest["scenario"].is_string() ||
      !manifest.contains("tasks") || !manifest["tasks"].is_array() || manifest["tasks"].size() < 2)
    throw DataError(config.continual.manifest + ": expected an object with 'scenario' and at least two 'tasks'");
  if (!given.contains("scenario")) experiment::set(config, "scenario", manifest["scenario"].get<std::string>());
  if (!given.contains("tasks")) experiment::set(config, "tasks", std::to_string(manifest["tasks"].size()));
}

}  // namespace

void add_continual(Program& program) {
  CLI::App* verb = add_verb(
      program.app, "continual",
      "train on several tasks one after the other, measure forgetting, and write a report\n"
      "(default: 5 tasks of permuted inputs, one epoch each, model mlp:256,256, momentum 0.9, learning rate 0.001)",
      {{"grapes continual", "compare six rules with five seeds each on permuted digits"},
       {"grapes continual --data mnist --arms bp,grapes,ewc,ewc+grapes,joint",
        "compare with methods against forgetting"},
       {"grapes continual --data fashion-mnist --scenario split", "give each task its own classes and output units"},
       {"grapes continual --manifest scenario.json", "use the tasks of another run or program"},
       {"grapes continual --resume runs/20260101-120000-continual",
        "resume an interrupted comparison; the result is the same, bit for bit"}});
  experiment::Config begin;
  experiment::read_toml_text(begin, standard_setup, "grapes continual");
  const PlanPtr plan = add_plan(*verb, false, {"target-score"}, begin);
  add_sharing(*verb, *plan);
  add_config(*verb, plan->file);
  verb->callback([&program, plan, begin] {
    program.action = [&program, plan, begin] {
      experiment::Config config = begin;
      const std::set<std::string> given = configure(*plan, config);
      if (plan->resume.empty()) take_manifest(config, given);
      if (!experiment::has_tasks(config)) throw UsageError("scenario = 'none' has only one task: use grapes compare");
      return print_config(*plan, config) ? Exit::done : compare(program, config, *plan);
    };
  });
}

}  // namespace grapes::cli
