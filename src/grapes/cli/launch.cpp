#include "grapes/cli/launch.h"

#include "grapes/base/interrupt.h"
#include "grapes/base/text.h"
#include "grapes/cli/program.h"

#include <filesystem>
#include <memory>

namespace grapes::cli {

std::string this_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

void add_launch(Program& program) {
  CLI::App* verb = add_verb(program.app, "launch", "train one network in several processes on this machine",
                            {{"grapes launch -n 2 -- train --data fashion-mnist --batch-size 128",
                              "each process computes half of every batch"},
                             {"grapes launch -n 4 --restarts 3 -- train --out runs/long",
                              "if a process dies, continue at the last checkpoint"}});
  struct Options {
    int processes = 2, restarts = 0;
    double timeout = 120;
    std::vector<std::string> command;
  };
  const auto options = std::make_shared<Options>();
  verb->add_option("-n,--processes", options->processes, "number of processes [2]")
      ->type_name("NUMBER")
      ->check(CLI::Range(1, 4096).description(""));
  verb->add_option("--restarts", options->restarts,
                   "if a process is killed or fails, start all again at the last checkpoint, at most this often [0]")
      ->type_name("NUMBER")
      ->check(CLI::NonNegativeNumber.description(""));
  CLI::Option* timeout =
      verb->add_option("--timeout", options->timeout,
                       "seconds until a process that does not answer counts as failed; also that of train [120]")
          ->type_name("SECONDS")
          ->check(CLI::PositiveNumber.description(""));
  verb->add_option("command", options->command, "after --: the verb train and its options")
      ->type_name("train ...")
      ->required();
  verb->callback([&program, options, timeout] {
    program.action = [&program, options, timeout] {
      if (options->command.front() != "train")
        throw UsageError("launch starts one training in several processes: expected train after --; got '" +
                         options->command.front() + "'");
      dist::Launch launch;
      launch.processes = options->processes;
      launch.restarts = options->restarts;
      launch.timeout = options->timeout;
      launch.command = {this_program()};
      if (program.quiet) launch.command.emplace_back("--quiet");
      launch.command.insert(launch.command.end(), options->command.begin(), options->command.end());
      if (timeout->count() > 0) {
        launch.command.emplace_back("--timeout");
        launch.command.push_back(shortest(options->timeout));
      }
      launch.say = [&program](const std::string& text) { program.say("launch: " + text); };
      interrupt::install();
      return static_cast<Exit>(dist::launch(launch));
    };
  });
}

}  // namespace grapes::cli
