#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/cli/experiment.h"
#include "grapes/cli/hardware.h"
#include "grapes/cost/document.h"
#include "grapes/cost/table.h"
#include "grapes/experiment/toml.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <iostream>

namespace grapes::cli {
namespace {

struct CostOptions {
  Settings settings;
  std::string file, input, energy, numbers = "float32", out;
  std::int64_t outputs = 0;
  bool json = false;
};

/// "1x28x28"
std::vector<std::int64_t> shape_of(const std::string& text) {
  std::vector<std::int64_t> shape;
  for (const std::string& piece : split(text, 'x')) {
    const auto size = to_integer(piece);
    if (!size || *size < 1 || *size > 1'000'000)
      throw UsageError("input", "'" + text + "': expected sizes such as 784 or 1x28x28");
    shape.push_back(*size);
  }
  return shape;
}

cost::Problem problem_of(const Program& program, const CostOptions& options, const experiment::Config& config) {
  if (options.input.empty() != (options.outputs == 0))
    throw UsageError("--input and --outputs must be given together, for sizes without data");
  cost::Problem problem;
  if (!options.input.empty()) {
    problem.signature.input_shape = shape_of(options.input);
    problem.signature.outputs = options.outputs;
    return problem;
  }
  ProgressBar bar(program.err(), program.quiet);
  problem = cost::problem_of(config, open_data(program, config, bar));
  if (problem.signature.sequence)
    program.say(fmt::format("  {} time steps, those of the longest example in the first batch", problem.steps));
  return problem;
}

Exit cost(const Program& program, const CostOptions& options) {
  experiment::Config config;
  if (!options.file.empty()) experiment::read_toml(config, options.file);
  options.settings.apply(config);
  experiment::check(config);
  const cost::EnergyTable table =
      options.energy.empty() ? cost::standard_energies() : cost::read_energies(options.energy);
  const cost::Prices prices{table, find_row(table.numbers, "numbers", options.numbers)};
  const cost::Study study = cost::study(config, problem_of(program, options, config));
  const nlohmann::json document = cost::document_of(study, prices);
  if (!options.out.empty()) {
    const std::filesystem::path folder = options.out;
    const std::string title =
        fmt::format("Energy of a training step: {}, batch {}, {}", study.model, study.batch, options.numbers);
    write_file(folder / "cost.json", document.dump(2) + "\n");
    write_file(folder / "cost.svg", cost::picture(title, document["arms"]));
  }
  if (options.json) {
    print_json(document);
    return Exit::done;
  }
  std::cout
      << fmt::format("one training step of {}, {}, {}; batch {}, {}\n", study.model, program.out().bold(study.arm.name),
                     study.arm.optimizer, study.batch, options.numbers)
      << columns(cost::layer_table(study.arm, prices), "llr") << "\n"
      << columns(cost::arm_table(document["arms"]), "llr")
      << "read, written, words, state and sent count words; to bp is the energy relative to bp with the same update "
         "rule\n"
      << "energies: " << table.name << ": " << table.source << "\n";
  if (!options.out.empty()) std::cout << "written: " << options.out << "/cost.json, cost.svg\n";
  return Exit::done;
}

}  // namespace

void add_cost(Program& program, CLI::App& hardware) {
  CLI::App* verb = add_verb(
      hardware, "cost", "estimate operations, memory, communication and energy of one training step",
      {{"grapes hardware cost --modulation grapes --data mnist",
        "estimate for the network that grapes train would train"},
       {"grapes hardware cost --input 1x28x28 --outputs 10 --model lenet5 --route dfa",
        "estimate from sizes, without data"},
       {"grapes hardware cost --numbers int8 --factor-bits 2 --modulation grapes", "estimate for integer arithmetic"},
       {"grapes hardware cost --energy mine.toml --out costs",
        "use your own energy table; write costs/cost.json and cost.svg"}});
  const auto options = std::make_shared<CostOptions>();
  add_config(*verb, options->file);
  verb->add_option("--input", options->input, "shape of an example, in place of --data")->type_name("784|1x28x28");
  verb->add_option("--outputs", options->outputs, "number of outputs; needed with --input")
      ->type_name("WHOLE NUMBER > 0")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}).description(""));
  verb->add_option("--energy", options->energy, "energies of operations and memory accesses [Horowitz 2014]")
      ->type_name("FILE.toml");
  verb->add_option("--numbers", options->numbers, "number format, a row of the energy table [float32]")
      ->type_name("float32|float16|int8|...");
  verb->add_option("--out", options->out, "also write cost.json and cost.svg to this folder")->type_name("FOLDER");
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  options->settings.add(*verb, {"data", "model", "spiking", "rule", "optimizer", "training"},
                        {"epochs", "patience", "checkpoint-every", "evaluate-every", "arm-name"});
  verb->callback([&program, options] { program.action = [&program, options] { return cost(program, *options); }; });
}

}  // namespace grapes::cli
