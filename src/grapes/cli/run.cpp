#include "grapes/cli/experiment.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/key.h"

#include <algorithm>
#include <set>
#include <string>

namespace grapes::cli {
namespace {

bool is_comparison(const std::set<std::string>& given) {
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
      if (!plan->resume.empty())
        throw UsageError("resume a record with the verb that made it: grapes train, compare or continual --resume " +
                         plan->resume);
      const std::set<std::string> given = configure(*plan, config);
      const bool comparison = config.arm.empty() && is_comparison(given);
      if (!comparison && config.arm.empty()) config.arm = experiment::arm_label(config);
      if (print_config(*plan, config)) return Exit::done;
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
