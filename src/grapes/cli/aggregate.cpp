#include "grapes/report/aggregate.h"

#include "grapes/base/file.h"
#include "grapes/cli/program.h"

#include <iostream>
#include <memory>

namespace grapes::cli {

void add_aggregate(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "aggregate", "compare arms over several data sets, from the records of one study for each",
               {{"grapes aggregate runs/mnist runs/fashion-mnist",
                 "print each arm's interquartile mean, and the probability that it is better than bp"},
                {"grapes aggregate runs/mnist runs/fashion-mnist --baseline uniform --json all.json",
                 "compare with another arm, and write the numbers to a file"}});
  struct Options {
    std::vector<std::string> studies;
    std::string baseline = "bp", json;
  };
  const auto options = std::make_shared<Options>();
  verb->add_option("study", options->studies, "folders of comparisons, one for each data set")
      ->type_name("STUDY")
      ->required();
  verb->add_option("--baseline", options->baseline, "arm with which all others are compared [bp]")->type_name("ARM");
  verb->add_option("--json", options->json, "also write all numbers to this file, as one JSON document")
      ->type_name("FILE");
  verb->callback([&program, options] {
    program.action = [options] {
      const report::Aggregated all =
          report::aggregate({options->studies.begin(), options->studies.end()}, options->baseline);
      std::cout << report::table(all);
      if (!options->json.empty()) write_file(options->json, report::to_json(all).dump(2) + "\n");
      return Exit::done;
    };
  });
}

}  // namespace grapes::cli
