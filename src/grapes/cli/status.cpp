#include "grapes/experiment/status.h"

#include "grapes/base/interrupt.h"
#include "grapes/base/text.h"
#include "grapes/cli/program.h"

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

namespace grapes::cli {
namespace {

using experiment::StudyStatus;

std::string time_left(const std::optional<double>& seconds) { return seconds ? duration(*seconds) : "unknown"; }

/// "20 runs: 12 finished, 1 diverged, 3 running, 4 waiting".
std::string counts(const StudyStatus& all) {
  std::vector<std::string> parts;
  const std::pair<std::size_t, const char*> kinds[] = {
      {all.finished, "finished"},      {all.diverged, "diverged"},       {all.failed.size(), "failed"},
      {all.running.size(), "running"}, {all.interrupted, "interrupted"}, {all.waiting, "waiting"}};
  for (const auto& [number, kind] : kinds)
    if (number > 0) parts.push_back(fmt::format("{} {}", number, kind));
  return fmt::format("{} {}: {}", all.runs, all.runs == 1 ? "run" : "runs", join(parts, ", "));
}

void print_status(const std::string& folder, const StudyStatus& all) {
  std::cout << folder << ": " << counts(all) << "\n";
  if (!all.complete() && all.seconds_left) std::cout << "about " << duration(*all.seconds_left) << " left\n";
  if (!all.running.empty()) {
    std::vector<std::vector<std::string>> rows = {{"running", "where", "epoch", "epochs/min", "left"}};
    for (const StudyStatus::Running& run : all.running)
      rows.push_back({run.run,
                      run.where.empty() ? "running, or killed" : run.where + (run.silent ? " (no sign of life)" : ""),
                      fmt::format("{:.1f} of {:.0f}", run.epochs_done, run.epochs),
                      run.epochs_per_second > 0 ? fmt::format("{:.3g}", 60 * run.epochs_per_second) : "",
                      time_left(run.seconds_left())});
    std::cout << "\n" << columns(rows, "llrrr");
  }
  for (const StudyStatus::Failed& run : all.failed) {
    std::cout << fmt::format("\nfailed: {} after epoch {}: {}\n", run.run, run.epoch, run.message);
    for (const std::string& line : run.last_lines) std::cout << "  " << line << "\n";
  }
}

record::Json to_json(const std::string& folder, const StudyStatus& all) {
  const auto number = [](const std::optional<double>& value) { return value ? record::Json(*value) : record::Json(); };
  record::Json running = record::Json::array(), failed = record::Json::array();
  for (const StudyStatus::Running& run : all.running)
    running.push_back({{"run", run.run},
                       {"where", run.where.empty() ? record::Json() : record::Json(run.where)},
                       {"silent", run.silent},
                       {"epochs_done", run.epochs_done},
                       {"epochs", run.epochs},
                       {"epochs_per_second", run.epochs_per_second},
                       {"seconds_left", number(run.seconds_left())}});
  for (const StudyStatus::Failed& run : all.failed)
    failed.push_back(
        {{"run", run.run}, {"epoch", run.epoch}, {"message", run.message}, {"last_lines", run.last_lines}});
  return {{"folder", folder},
          {"complete", all.complete()},
          {"runs", all.runs},
          {"finished", all.finished},
          {"diverged", all.diverged},
          {"interrupted", all.interrupted},
          {"waiting", all.waiting},
          {"running", running},
          {"failed", failed},
          {"workers", all.workers},
          {"seconds_left", number(all.seconds_left)}};
}

}  // namespace

void add_status(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "status", "show which runs of a study have finished, are running, have failed or wait",
               {{"grapes status runs/demo", "look once"},
                {"grapes status runs/demo --watch", "look again every two seconds until all have ended"}});
  struct Options {
    std::string folder;
    bool watch = false, json = false;
  };
  const auto options = std::make_shared<Options>();
  verb->add_option("folder", options->folder, "folder of a run or a comparison")->type_name("FOLDER")->required();
  verb->add_flag("--watch", options->watch, "look again every two seconds until all runs have ended");
  verb->add_flag("--json", options->json, "print one JSON document, or one line for each look with --watch");
  verb->callback([&program, options] {
    program.action = [&program, options] {
      interrupt::install();
      experiment::StudyObserver observer(options->folder);
      const bool clears = options->watch && !options->json && program.out().is_terminal();
      while (true) {
        const StudyStatus all = observer.look();
        if (clears) std::cout << "\033[H\033[J";
        if (options->json && options->watch)
          std::cout << to_json(options->folder, all).dump() << "\n";
        else if (options->json)
          print_json(to_json(options->folder, all));
        else
          print_status(options->folder, all);
        std::cout.flush();
        if (!options->watch || all.complete()) return Exit::done;
        for (int tenth = 0; tenth < 20; ++tenth) {
          if (interrupt::pending() != 0) return exit_of(record::State::interrupted);
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        if (!clears && !options->json) std::cout << "\n";
      }
    };
  });
}

}  // namespace grapes::cli
