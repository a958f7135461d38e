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

/// What the program returns to the shell.
enum class Exit : int { done = 0, failed = 1, usage = 2, data = 3, diverged = 4, interrupted = 130, terminated = 143 };
/// How training that ended this way ends the program.
Exit exit_of(record::State state);

/// The command line: a tree of verbs and their options, and what holds for all of them.
struct Program {
  CLI::App app;
  bool quiet = false;
  Color color = Color::automatic;
  std::function<Exit()> action;  ///< what the chosen verb does, once the whole line is understood

  Stream out() const { return {1, color}; }
  Stream err() const { return {2, color}; }
  /// A line on stderr for people; not if --quiet.
  void say(const std::string& text) const;
};

/// A verb hangs itself into the tree.
using Verb = void (*)(Program& program);
void add_train(Program& program);
void add_compare(Program& program);
void add_continual(Program& program);
void add_run(Program& program);
void add_report(Program& program);
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

/// A new verb with its one-line meaning and its examples, each a command line and what it does.
struct Example {
  std::string command;
  std::string meaning;
};
CLI::App* add_verb(CLI::App& parent, const std::string& name, const std::string& meaning,
                   const std::vector<Example>& examples);

/// One JSON document on stdout. Text that is no UTF-8 (a path) is made readable rather than refused.
void print_json(const nlohmann::json& document);

/// The whole program: parse, do, and say in one line what went wrong. @return the exit code
int main(int argc, const char* const* argv);

}  // namespace grapes::cli
