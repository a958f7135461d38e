#include "grapes/base/error.h"
#include "grapes/cli/settings.h"
#include "grapes/dist/group.h"
#include "grapes/experiment/environment.h"
#include "grapes/kernels/threads.h"

#include <iostream>

namespace grapes::cli {

void add_env(Program& program) {
  CLI::App* verb = add_verb(program.app, "env", "show versions, machine and threads; every record contains them too",
                            {{"grapes env", "show them, for a bug report for example"},
                             {"grapes env --threads 2 --json", "print JSON for a run with two threads"}});
  struct Options {
    Settings settings;
    bool json = false;
  };
  const auto options = std::make_shared<Options>();
  verb->add_flag("--json", options->json, "print one JSON document");
  options->settings.add(*verb, {"machine"});
  verb->callback([&program, options] {
    program.action = [options] {
      experiment::Config config;
      options->settings.apply(config);
      kernels::set_threads(config.threads);
      record::Json env = experiment::environment(config);
      env["gloo"] = dist::gloo_missing().empty() ? "available" : "missing: " + dist::gloo_missing();
      try {
        env["processes"] = describe(dist::place_in(dist::environment()));
      } catch (const UsageError& error) {  // this verb shows what is wrong, so it must not fail
        env["processes"] = error.what();
      }
      if (options->json) {
        print_json(env);
        return Exit::done;
      }
      std::vector<std::vector<std::string>> rows;
      for (const auto& [name, value] : env.items())
        rows.push_back({name, value.is_null()     ? "unknown"
                              : value.is_string() ? value.get<std::string>()
                                                  : value.dump()});
      std::cout << columns(rows);
      return Exit::done;
    };
  });
}

}  // namespace grapes::cli
