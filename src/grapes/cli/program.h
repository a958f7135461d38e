#pragma once

#include "grapes/base/error.h"
#include "grapes/cli/terminal.h"
#include "grapes/record/record.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <vector>

namespace grapes::cli {

/// Exit codes.
enum class Exit : int { done = 0, failed = 1, usage = 2, data = 3, diverged = 4, interrupted = 130, terminated = 143 };
/// Returns the exit code for the final state of training.
Exit exit_of(record::State state);

/// The command line: verbs, their options, and global options.
struct Program {
  CLI::App app;
  std::string called = "grapes";  ///< the name by which it was started
  bool quiet = false;
  Color color = Color::automatic;
  std::function<Exit()> action;  ///< runs the chosen verb, after the whole line was parsed

  Stream out() const { return {1, color}; }
  Stream err() const { return {2, color}; }
  /// Prints a line to stderr, unless --quiet.
  void say(const std::string& text) const;
};

/// Adds a verb to the program.
using Verb = void (*)(Program& program);
void add_train(Program& program);
void add_launch(Program& program);
void add_compare(Program& program);
void add_continual(Program& program);
void add_run(Program& program);
void add_report(Program& program);
void add_aggregate(Program& program);
void add_status(Program& program);
void add_data(Program& program);
void add_eval(Program& program);
void add_predict(Program& program);
void add_inspect(Program& program);
void add_export(Program& program);
void add_import(Program& program);
void add_nir(Program& program);
void add_parity(Program& program);
void add_bench(Program& program);
void add_hardware(Program& program);
void add_list(Program& program);
void add_env(Program& program);
void add_completion(Program& program);

/// An example in a verb's help: a command line and what it does.
struct Example {
  std::string command;
  std::string meaning;
};
CLI::App* add_verb(CLI::App& parent, const std::string& name, const std::string& meaning,
                   const std::vector<Example>& examples);

/// Prints a JSON document to stdout. Text that is not valid UTF-8 (a path) is replaced.
void print_json(const nlohmann::json& document);

/// Runs the whole program: parses the command line, runs the verb, and reports an error in one line. @return the exit
/// code
int main(int argc, const char* const* argv);

}  // namespace grapes::cli
