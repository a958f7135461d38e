#include "grapes/parity/parity.h"

#include "grapes/base/file.h"
#include "grapes/cli/program.h"

#include <fmt/format.h>

#include <iostream>
#include <memory>

namespace grapes::cli {

void add_parity(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "parity", "repeat a recorded training of the authors' program and compare every weight",
               {{"grapes parity tests/parity/*.json", "print the differences; fail if one is above 1e-12"},
                {"grapes parity case.json --dtype float32 --out mine.json",
                 "compare in float32 and write the weights of Grapes"}});
  struct Options {
    std::vector<std::string> files;
    std::string dtype = "float64", out;
    bool plain = false, json = false;
  };
  const auto options = std::make_shared<Options>();
  verb->add_option("case", options->files, "recorded cases, JSON files of format grapes-golden/1")
      ->type_name("CASE.json ...")
      ->required();
  verb->add_option("--dtype", options->dtype,
                   "arithmetic; the tolerance is 1e-12 in float64 and 2e-6 in float32 [float64]")
      ->type_name("float64|float32")
      ->check(CLI::IsMember({"float64", "float32"}).description(""));
  verb->add_option("--out", options->out,
                   "write the weights of Grapes for one case to this file, in the format of the case")
      ->type_name("RESULT.json");
  verb->add_flag("--plain", options->plain, "use plain tensor operations instead of the fused layers");
  verb->add_flag("--json", options->json, "print the results as one JSON document");
  verb->callback([&program, options] {
    program.action = [&program, options] {
      if (!options->out.empty() && options->files.size() > 1)
        throw UsageError("--out writes the weights of one case; got several cases");
      bool passed = true;
      nlohmann::json all = nlohmann::json::array();
      for (const std::string& file : options->files) {
        const parity::Case recorded = parity::read(file);
        const parity::Result result =
            parity::compare(recorded, {options->dtype == "float64" ? at::kDouble : at::kFloat, options->plain});
        passed = passed && result.passed();
        if (!options->out.empty())
          write_file(options->out, nlohmann::json{{"format", "grapes-parity/1"},
                                                  {"case", recorded.name},
                                                  {"dtype", options->dtype},
                                                  {"passed", result.passed()},
                                                  {"weights_after", parity::to_json(result.weights)}}
                                           .dump(1) +
                                       "\n");
        nlohmann::json differences = nlohmann::json::array();
        std::vector<std::vector<std::string>> rows;
        for (const auto& line : result.lines) {
          differences.push_back({{"what", line.what}, {"difference", line.difference}});
          rows.push_back({line.what, fmt::format("{:.3e}", line.difference)});
        }
        all.push_back({{"name", recorded.name},
                       {"tolerance", result.tolerance},
                       {"passed", result.passed()},
                       {"differences", differences}});
        if (!options->json)
          std::cout << columns(rows)
                    << fmt::format("{}: {} (largest absolute difference allowed: {:g})\n", recorded.name,
                                   result.passed() ? "passed" : program.out().red("FAILED"), result.tolerance);
      }
      if (options->json) print_json({{"passed", passed}, {"cases", all}});
      return passed ? Exit::done : Exit::failed;
    };
  });
}

}  // namespace grapes::cli
