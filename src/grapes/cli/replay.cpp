#include "grapes/experiment/replay.h"

#include "grapes/cli/program.h"

#include <fmt/format.h>

#include <iostream>

namespace grapes::cli {

void add_replay(Program& program) {
  CLI::App* verb = add_verb(program.app, "replay", "train a case of the authors' program and compare every weight",
                            {{"grapes replay BPgrapes_SGD_relu.json", "differences per snapshot; fails beyond 1e-12"},
                             {"grapes replay case.json --dtype float32 --out mine.json", "in float32, weights kept"}});
  struct Options {
    std::string file, dtype = "float64", out;
    bool plain = false, json = false;
  };
  const auto options = std::make_shared<Options>();
  verb->add_option("case", options->file, "a case of format grapes-golden/1")->type_name("CASE.json")->required();
  verb->add_option("--dtype", options->dtype, "arithmetic: tolerance 1e-12, or 2e-6 in float32 [float64]")
      ->type_name("float64|float32")
      ->check(CLI::IsMember({"float64", "float32"}).description(""));
  verb->add_option("--out", options->out, "write our own weights here, laid out as the case's")
      ->type_name("RESULT.json");
  verb->add_flag("--plain", options->plain, "by plain tensor operations, the slow twins of the fused layers");
  verb->add_flag("--json", options->json, "the result as one JSON document");
  verb->callback([&program, options] {
    program.action = [&program, options] {
      const experiment::ReplayResult result =
          experiment::replay(options->file, options->dtype, options->out, options->plain);
      if (options->json) {
        nlohmann::json lines = nlohmann::json::array();
        for (const auto& line : result.lines) lines.push_back({{"what", line.what}, {"difference", line.difference}});
        print_json({{"name", result.name},
                    {"tolerance", result.tolerance},
                    {"passed", result.passed},
                    {"differences", lines}});
      } else {
        std::vector<std::vector<std::string>> rows;
        for (const auto& line : result.lines) rows.push_back({line.what, fmt::format("{:.3e}", line.difference)});
        const std::string verdict = result.passed ? "passed" : program.out().red("FAILED");
        std::cout << columns(rows)
                  << fmt::format("{}: {} (largest absolute difference allowed: {:g})\n", result.name, verdict,
                                 result.tolerance);
      }
      return result.passed ? Exit::done : Exit::failed;
    };
  });
}

}  // namespace grapes::cli
