#include "grapes/cli/program.h"

#include "grapes/base/error.h"
#include "grapes/base/interrupt.h"
#include "grapes/base/text.h"
#include "grapes/experiment/key.h"
#include "grapes/experiment/version.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <new>

namespace grapes::cli {
namespace {

constexpr Verb verbs[] = {add_train,  add_launch, add_compare, add_continual, add_run,     add_report, add_aggregate,
                          add_status, add_data,   add_eval,    add_predict,   add_inspect, add_export, add_import,
                          add_nir,    add_parity, add_bench,   add_hardware,  add_list,    add_env,    add_completion};

void build(Program& program) {
  CLI::App& app = program.app;
  app.name("grapes");
  app.description(
      "Train artificial and spiking networks with GRAPES, which scales each unit's error by its responsibility\n"
      "(Dellaferrera et al. 2022), and compare it with plain backpropagation and with controls.");
  app.set_version_flag("--version", [] { return experiment::version_line(); });
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.add_flag("--quiet,-q", program.quiet, "print only errors to stderr");
  app.add_option("--color", program.color, "color the output; the environment variable NO_COLOR turns it off [auto]")
      ->type_name("auto|always|never")
      ->transform(CLI::Transformer(std::map<std::string, Color>{
                                       {"auto", Color::automatic}, {"always", Color::always}, {"never", Color::never}})
                      .description(""))
      ->check([](const std::string& value) {
        const bool known = std::string_view("012").find(value) != std::string_view::npos && value.size() == 1;
        return known ? std::string() : "expected auto, always or never; got '" + value + "'";
      });
  for (const Verb verb : verbs) verb(program);
  app.footer(
      "Examples:\n"
      "  grapes train                      train one network on the built-in digits\n"
      "  grapes compare                    compare five learning rules with five seeds each\n"
      "  grapes VERB --help                show the options and examples of one verb\n\n"
      "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 bad data or file, 4 a run diverged, 130 or 143 after a "
      "signal.");
}

/// Returns the verb that was being parsed when the error occurred.
const CLI::App& deepest(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : deepest(*parsed.front());
}

std::vector<std::string> known_names(const CLI::App& verb, bool options) {
  std::vector<std::string> names;
  if (options) {
    for (const CLI::App* app = &verb; app != nullptr; app = app->get_parent())
      for (const CLI::Option* option : app->get_options())
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  } else {
    for (const CLI::App* child : verb.get_subcommands({})) names.push_back(child->get_name());
  }
  return names;
}

/// Whether a subverb is required; `export` has subverbs but can be used alone.
bool needs_verb(const CLI::App& verb) { return verb.get_require_subcommand_min() > 0; }

/// Whether an unknown verb was given: `grapes nosuchverb --help` is an error.
bool names_unknown_verb(const CLI::App& app) {
  const std::vector<std::string> unknown = app.remaining(true);
  return needs_verb(deepest(app)) && !unknown.empty() && !unknown.front().starts_with('-');
}

/// Returns the error in one line. Unknown words are the most likely mistake, so they are reported first.
std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& verb = deepest(app);
  const bool wants_verb = needs_verb(verb);
  const std::string help =
      "; see " +
      (&verb == &app               ? "grapes"
       : verb.get_parent() == &app ? "grapes " + verb.get_name()
                                   : "grapes " + verb.get_parent()->get_name() + " " + verb.get_name()) +
      " --help";
  for (const std::string& word : app.remaining(true)) {
    const bool option = word.size() > 1 && word[0] == '-';
    const std::string name = option ? word.substr(0, word.find('=')) : word;
    const std::string kind = option ? "option" : wants_verb ? "verb" : "argument";
    const std::string meant = name.starts_with("--") ? "--" + experiment::standard_name(name.substr(2)) : name;
    return fmt::format("unknown {} '{}'{}{}", kind, name, did_you_mean(meant, known_names(verb, option)), help);
  }
  if (wants_verb && verb.get_subcommands().empty())
    return "a verb is missing; expected one of " + join(known_names(verb, false), ", ") + help;
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return std::string(trim(text)) + help;
}

Exit after_signal() { return interrupt::pending() == SIGTERM ? Exit::terminated : Exit::interrupted; }

Exit exit_of(const Error& error) {
  if (dynamic_cast<const UsageError*>(&error) != nullptr) return Exit::usage;
  if (dynamic_cast<const DataError*>(&error) != nullptr) return Exit::data;
  if (dynamic_cast<const Interrupted*>(&error) != nullptr) return after_signal();
  return Exit::failed;
}

/// Returns the message with the option instead of the library's name of a setting: "--validation-split" for
/// "validation_split".
std::string text_of(const Error& error) {
  const std::string& field = error.field();
  return field.empty() ? error.what() : "--" + experiment::standard_name(field) + (error.what() + field.size());
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// Runs the verb. All errors are reported in one line and converted to exit codes.
Exit act(const Program& program) {
  const auto fail = [&](const std::string& why, Exit exit) {
    std::cout.flush();
    std::cerr << program.err().red("grapes:") << " " << why << std::endl;
    return exit;
  };
  try {
    const Exit exit = program.action();
    std::cout.flush();
    if (!std::cout) return fail("cannot write the result to the standard output", Exit::data);
    return exit;
  } catch (const Error& error) {
    return fail(text_of(error), exit_of(error));
  } catch (const c10::ValueError& error) {  // an invalid argument for the library
    return fail(first_line(error.what_without_backtrace()), Exit::usage);
  } catch (const c10::Error& error) {
    return fail(first_line(error.what_without_backtrace()), Exit::failed);
  } catch (const std::bad_alloc&) {
    return fail("out of memory", Exit::failed);
  } catch (const std::exception& error) {
    return fail(first_line(error.what()), Exit::failed);
  }
}

}  // namespace

Exit exit_of(record::State state) {
  if (state == record::State::finished) return Exit::done;
  if (state == record::State::diverged) return Exit::diverged;
  return state == record::State::interrupted ? after_signal() : Exit::failed;
}

void Program::say(const std::string& text) const {
  if (!quiet) std::cerr << text << std::endl;
}

CLI::App* add_verb(CLI::App& parent, const std::string& name, const std::string& meaning,
                   const std::vector<Example>& examples) {
  CLI::App* verb = parent.add_subcommand(name, meaning);
  verb->fallthrough();
  std::vector<std::vector<std::string>> rows;
  for (const Example& example : examples) rows.push_back({"  " + example.command, example.meaning});
  verb->footer("Examples:\n" + columns(rows));
  return verb;
}

void print_json(const nlohmann::json& document) {
  std::cout << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

int main(int argc, const char* const* argv) {
  Program program;
  if (argc > 0) program.called = argv[0];
  build(program);
  try {
    program.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool wish = error.get_exit_code() == 0;  // --help, --version
    if (wish && !names_unknown_verb(program.app)) return program.app.exit(error, std::cout, std::cerr);
    std::cerr << program.err().red("grapes:") << " " << explain(program.app, error) << std::endl;
    return static_cast<int>(Exit::usage);
  }
  return static_cast<int>(act(program));
}

}  // namespace grapes::cli
