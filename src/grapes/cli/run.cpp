#include "grapes/cli/experiment.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/key.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

namespace grapes::cli {
namespace {

bool is_comparison(const std::set<std::string>& given) {
  return std::any_of(given.begin(), given.end(), [&](const std::string& name) {
    if (name == "arm") return true;
    const experiment::Key& key = experiment::find_key(name);
    return experiment::of_comparisons(key) || key.group == "continual";
  });
}

bool has_record(const std::string& folder) {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::path(folder) / "config.toml", error);
}

}  // namespace

void add_run(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "run",
               "run an experiment from a TOML file. A file with arms, seeds, tune, scenario or [arm.NAME] tables is a\n"
               "comparison; any other file is a single run",
               {{"grapes run experiments/demo.toml", "run it as the file says"},
                {"grapes run experiments/demo.toml --seeds 10 --jobs 2", "override some of its settings"},
                {"grapes run experiments/demo.toml --out runs/demo", "run it in this folder, or resume it there"},
                {"grapes run experiments/demo.toml --out runs/demo --shard auto",
                 "the same, as one of any number of processes that share the runs"},
                {"grapes run --resume runs/demo", "resume any record"},
                {"grapes run runs/20260101-120000-grapes/config.toml", "repeat an earlier run"}});
  const PlanPtr plan = add_plan(*verb, true);
  add_sharing(*verb, *plan);
  verb->add_option("file", plan->file, "the experiment file")->type_name("FILE.toml");
  verb->callback([&program, plan] {
    program.action = [&program, plan] {
      if (plan->file.empty() && plan->resume.empty())
        throw UsageError("an experiment file is missing, or --resume FOLDER; see grapes run --help");
      // With a file, the settings are compared with those of the record.
      if (!plan->file.empty() && !plan->resume.empty() && has_record(plan->resume))
        plan->out = std::exchange(plan->resume, "");
      experiment::Config config;
      const std::set<std::string> given = configure(*plan, config);
      const bool resumes_several = !plan->resume.empty() && !record::is_run(plan->resume);
      const bool comparison = config.arm.empty() && (resumes_several || is_comparison(given));
      if (!comparison && config.arm.empty()) config.arm = experiment::arm_label(config);
      if (print_config(*plan, config)) return Exit::done;
      if (comparison && !(plan->init.empty() && plan->save.empty()))
        throw UsageError("--init and --save are for a single run, but this is a comparison");
      program.say((plan->file.empty() ? plan->resume : plan->file) + (experiment::has_tasks(config) ? ": several tasks"
                                                                      : comparison                  ? ": a comparison"
                                                                                   : ": a single run"));
      return comparison ? compare(program, config, *plan) : train(program, config, *plan);
    };
  });
}

}  // namespace grapes::cli
