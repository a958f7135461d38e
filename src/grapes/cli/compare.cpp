#include "grapes/base/interrupt.h"
#include "grapes/cli/experiment.h"
#include "grapes/experiment/sweep.h"
#include "grapes/experiment/toml.h"
#include "grapes/report/report.h"

#include <fmt/format.h>

#include <csignal>
#include <iostream>

namespace grapes::cli {
namespace {

experiment::Overview overview(ProgressBar& bar) {
  return [&bar](const experiment::Stage& stage) {
    const double fraction = stage.epochs > 0 ? stage.epochs_done / stage.epochs : 0;
    bar.show(stage.what, fmt::format("{}: {} of {} runs", stage.what, stage.runs_done, stage.runs), fraction,
             stage.last);
  };
}

/// Rejects options that the arms would silently override.
void refuse_rules(const Plan& plan) {
  for (const std::string name : {"route", "modulation", "arm-name"})
    if (plan.settings.given().count(name) > 0)
      throw UsageError("--" + name + " is for a single run; in a comparison use --arms bp,grapes,fa+grapes");
}

}  // namespace

void print(const report::Summary& summary) {
  report::Findings found = report::findings(summary);
  std::cout << report::table(summary) << "\n" << found.lead << "\n";
  const auto list = [](const std::string& title, const std::vector<std::string>& sentences) {
    if (sentences.empty()) return;
    std::cout << "\n" << title << (title.empty() ? "" : "\n");
    for (const std::string& sentence : sentences) std::cout << "- " << sentence << "\n";
  };
  for (auto& [title, verdict, limits] : found.sections) {
    if (found.sections.size() > 1) limits.insert(limits.begin(), verdict);
    list(title, limits);
  }
  list("", found.all);
}

Exit compare(const Program& program, const experiment::Config& config, const Plan& plan) {
  if (!config.arm.empty()) throw UsageError("arm-name = '" + config.arm + "' is for a single run: use grapes train");
  experiment::check(config);
  ProgressBar bar(program.err(), program.quiet);
  const data::Splits splits = open_data(program, config, bar);
  if (experiment::has_tasks(config))
    for (const std::string& note : experiment::scenario_of(config, splits).notes) program.say("  note: " + note);
  program.say(fmt::format("{} arms, {} seeds each: {}", config.compare.arms.size(), config.compare.seeds,
                          fmt::join(config.compare.arms, ", ")));
  const std::filesystem::path folder = record_folder(plan, experiment::has_tasks(config) ? "continual" : "compare");
  interrupt::install();
  const bool sweeps = static_cast<bool>(config.compare.sweep);
  const experiment::Outcome outcome =
      (sweeps ? experiment::sweep : experiment::compare)(config, splits, folder, !plan.resume.empty(), overview(bar));
  bar.clear();
  const Exit exit = exit_of(outcome.state);
  const bool stopped = outcome.state == record::State::interrupted;
  if (plan.json) {
    record::Json document = outcome.summary ? report::to_json(*outcome.summary) : record::Json::object();
    document["folder"] = folder.string();
    document["report"] = outcome.report.empty() ? record::Json() : record::Json(outcome.report.string());
    document["exit"] = static_cast<int>(exit);
    print_json(document);
    return exit;
  }
  if (outcome.summary) {
    print(*outcome.summary);
    std::cout << "\n";
  } else if (!stopped) {
    std::cout << "every run diverged, so there is no report\n";
  }
  std::cout << "record: " << folder.string() << "\n";
  if (!outcome.report.empty()) std::cout << "report: " << outcome.report.string() << "\n";
  const char* const verb = experiment::has_tasks(config) ? "continual" : "compare";
  if (stopped) std::cout << "resume with: grapes " << verb << " --resume " << folder.string() << "\n";
  return exit;
}

void add_compare(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "compare", "compare learning rules over several seeds and write a report",
               {{"grapes compare", "compare five rules with five seeds each on the built-in digits"},
                {"grapes compare --arms bp,grapes,fa,fa+grapes --seeds 10", "choose the rules and the number of seeds"},
                {"grapes compare --data fashion-mnist --tune", "tune the learning rate of each rule first"},
                {"grapes compare --sweep factor-bits={} --sweep-values 0,1,2,4",
                 "repeat the comparison for four values of one setting"},
                {"grapes compare --resume runs/20260101-120000-compare", "resume an interrupted comparison"}});
  const PlanPtr plan = add_plan(*verb, false, names_of(experiment::of_tasks));
  add_config(*verb, plan->file);
  verb->callback([&program, plan] {
    program.action = [&program, plan] {
      refuse_rules(*plan);
      experiment::Config config;
      configure(*plan, config);
      return print_config(*plan, config) ? Exit::done : compare(program, config, *plan);
    };
  });
}

}  // namespace grapes::cli
