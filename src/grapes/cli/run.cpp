#include "grapes/cli/experiment.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/key.h"
#include "grapes/experiment/toml.h"

#include <algorithm>
#include <iostream>

namespace grapes::cli {
namespace {

bool is_comparison(const std::vector<std::string>& given) {
  return std::any_of(given.begin(), given.end(), [&](const std::string& name) {
    if (name == "arm") return true;
    const experiment::Key& key = experiment::find_key(name);
    return experiment::of_comparisons(key) || key.group == "continual";
  });
}

}  // namespace

void add_run(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "run",
               "run an experiment from a TOML file. A file with arms, seeds, tune, scenario or [arm.NAME] tables is a\n"
               "comparison; any other file is a single run",
               {{"grapes run experiments/demo.toml", "run it as the file says"},
                {"grapes run experiments/demo.toml --seeds 10 --jobs 2", "override some of its settings"},
                {"grapes run runs/20260101-120000-grapes/config.toml", "repeat an earlier run"}});
  const PlanPtr plan = add_plan(*verb, true);
  verb->add_option("file", plan->file, "the experiment file")->type_name("FILE.toml")->required();
  verb->callback([&program, plan] {
    program.action = [&program, plan] {
      experiment::Config config;
      std::vector<std::string> given = configure(*plan, config);
      for (const std::string& name : plan->settings.given()) given.push_back(name);
      const bool comparison = config.arm.empty() && is_comparison(given);
      if (!comparison && config.arm.empty()) config.arm = experiment::arm_label(config);
      if (plan->print_config) {
        std::cout << experiment::to_toml(config, true);
        return Exit::done;
      }
      if (!plan->resume.empty()) {
        const std::string verb_name = experiment::has_tasks(config) ? "continual" : comparison ? "compare" : "train";
        throw UsageError("resume a record with grapes " + verb_name + " --resume " + plan->resume);
      }
      if (comparison && !(plan->init.empty() && plan->save.empty()))
        throw UsageError("--init and --save are for a single run, but this is a comparison");
      program.say(plan->file + (experiment::has_tasks(config) ? ": several tasks"
                                : comparison                  ? ": a comparison"
                                                              : ": a single run"));
      return comparison ? compare(program, config, *plan) : train(program, config, *plan);
    };
  });
}

}  // namespace grapes::cli
