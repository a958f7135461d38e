#include "grapes/base/interrupt.h"
#include "grapes/cli/experiment.h"
#include "grapes/dist/place.h"
#include "grapes/experiment/sweep.h"
#include "grapes/experiment/toml.h"
#include "grapes/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <iostream>
#include <string_view>

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

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && std::ranges::all_of(word, [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("-_./,:=+%@").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// Refuses a study in processes that torchrun, srun, ... started to train together: each of them would carry out the
/// same runs in the same folder.
void refuse_many_processes(const experiment::Shard& shard) {
  const dist::Place place = dist::place_in(dist::environment());
  if (place.alone() || shard.kind == experiment::Shard::Kind::claimed) return;
  throw UsageError(
      fmt::format("{} started {} processes, and each of them would carry out the same runs in the same folder. Add "
                  "--shard auto, so "
                  "that they share the runs, or start one process. A study does not spread one training over processes",
                  place.starter, place.world));
}

/// Prints a command for each run, in an order in which they can be run.
Exit print_plan(const Program& program, const experiment::Config& config, const Plan& plan) {
  if (!plan.shard.empty()) throw UsageError("--plan prints a command with --shard for each run: give only one of them");
  std::string command = quoted(program.called) + " " + plan.verb;
  if (!plan.file.empty()) command += (plan.verb == "run" ? " " : " --config ") + quoted(plan.file);
  if (!plan.preset.empty()) command += " --preset " + quoted(plan.preset);
  for (const std::string& word : plan.settings.words()) command += " " + quoted(word);
  command += plan.resume.empty() ? " --out " + quoted(plan.out) : " --resume " + quoted(plan.resume);
  std::vector<experiment::Comparison> all =
      experiment::comparisons(config, plan.resume.empty() ? plan.out : plan.resume);
  const std::vector<experiment::Job> jobs = experiment::jobs_of(all).first;
  for (const experiment::Job& job : jobs)
    std::cout << fmt::format("{} --shard {}/{}  # {}: {}\n", command, job.number + 1, jobs.back().number + 1, job.what,
                             job.name);
  if (std::ranges::any_of(jobs, [](const experiment::Job& job) { return !job.after.empty(); }))
    program.say("Runs whose arm is not tuned yet do nothing. Run all commands a second time after the first pass.");
  return Exit::done;
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
  experiment::Shard shard = experiment::parse_shard(plan.shard);
  if (plan.heartbeat <= 0) throw UsageError("--heartbeat: expected SECONDS > 0");
  shard.heartbeat = plan.heartbeat;
  refuse_many_processes(shard);
  const char* const verb = experiment::has_tasks(config) ? "continual" : "compare";
  const auto [folder, how] = record_folder(plan, config, verb);
  if (plan.list) return print_plan(program, config, plan);
  ProgressBar bar(program.err(), program.quiet);
  const data::Splits splits = open_data(program, config, bar);
  if (experiment::has_tasks(config))
    for (const std::string& note : experiment::scenario_of(config, splits).notes) program.say("  note: " + note);
  program.say(fmt::format("{} arms, {} seeds each: {}", config.compare.arms.size(), config.compare.seeds,
                          fmt::join(config.compare.arms, ", ")));
  interrupt::install();
  const bool sweeps = static_cast<bool>(config.compare.sweep);
  const experiment::Outcome outcome =
      (sweeps ? experiment::sweep : experiment::compare)(config, splits, folder, how, overview(bar), shard);
  bar.clear();
  const bool waits = outcome.state == record::State::running;  // for other processes
  const Exit exit = waits ? Exit::done : exit_of(outcome.state);
  const bool stopped = outcome.state == record::State::interrupted;
  if (plan.json) {
    record::Json document = outcome.summary ? report::to_json(*outcome.summary) : record::Json::object();
    document["folder"] = folder.string();
    document["report"] = outcome.report.empty() ? record::Json() : record::Json(outcome.report.string());
    document["runs"] = {{"done", outcome.done}, {"all", outcome.runs}};
    document["exit"] = static_cast<int>(exit);
    print_json(document);
    return exit;
  }
  if (outcome.summary) {
    print(*outcome.summary);
    std::cout << "\n";
  } else if (!stopped && !waits) {
    std::cout << "every run diverged, so there is no report\n";
  }
  std::cout << "record: " << folder.string() << "\n";
  if (!outcome.report.empty()) std::cout << "report: " << outcome.report.string() << "\n";
  if (waits)
    std::cout << fmt::format(
        "{} of {} runs have ended. The others belong to other parts, or wait for the tuning of their arm.\n"
        "The process that ends the last one writes the report.\n",
        outcome.done, outcome.runs);
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
  add_sharing(*verb, *plan);
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
