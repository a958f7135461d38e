#include "grapes/report/cost.h"

#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/cli/experiment.h"
#include "grapes/cli/hardware.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/run.h"
#include "grapes/experiment/toml.h"
#include "grapes/hardware/document.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <utility>

namespace grapes::cli {
namespace {

using hardware::Arm;
using hardware::LayerCost;
using hardware::Phase;
using hardware::Prices;
using hardware::Work;
using nlohmann::json;
using Table = std::vector<std::vector<std::string>>;

struct CostOptions {
  Settings settings;
  std::string file, input, energy, numbers = "float32", out;
  std::int64_t outputs = 0;
  bool json = false;
};

/// What the network is asked, and the steps of its examples if they are sequences.
struct Problem {
  nn::Signature signature;
  std::int64_t steps = 1;
};

Problem problem_of(const Program& program, const CostOptions& options, const experiment::Config& config) {
  if (options.input.empty() != (options.outputs == 0))
    throw UsageError("--input and --outputs go together: the shape of an example without any data");
  if (!options.input.empty()) {
    Problem problem;
    for (const std::string& piece : split(options.input, 'x')) {
      const auto size = to_integer(piece);
      if (!size || *size < 1 || *size > 1'000'000)
        throw UsageError("--input '" + options.input + "': expected sizes such as 784 or 1x28x28");
      problem.signature.input_shape.push_back(*size);
    }
    problem.signature.outputs = options.outputs;
    return problem;
  }
  ProgressBar bar(program.err(), program.quiet);
  const data::Splits splits = open_data(program, config, bar);
  Problem problem{train::signature_of(experiment::info_of(config, splits))};
  if (problem.signature.sequence) {
    const std::int64_t batch = std::min(config.training.batch, splits.train->size());
    problem.steps = splits.train->get(at::arange(batch, at::kLong)).inputs.size(1);
    program.say(fmt::format("  {} steps: the longest of the first {} examples", problem.steps, batch));
  }
  return problem;
}

void require_countable(const experiment::Config& config) {
  if (config.network.norm != nn::Norm::none)
    throw UsageError("norm: what a normalization costs is not counted; only norm none is");
  if (config.network.analog)
    throw UsageError("analog: crossbars multiply where their weights lie, which is not counted");
  if (config.network.precision != "float32")
    throw UsageError(
        "precision: parts in formats of their own are not counted; --numbers takes one for all (float32, "
        "float16, int8, int32)");
  if (config.network.recompute) throw UsageError("recompute: what is computed twice is not counted");
  if (config.network.spiking.truncate > 0) throw UsageError("tbptt-steps: a time cut into pieces is not counted");
}

Arm arm_of(experiment::Config config, const Problem& problem) {
  config.arm.clear();
  const auto model = nn::make_network(config.network, problem.signature, config.training.seed);
  const hardware::Learning learning = {model->rule(), config.optimizer.optimizer, config.optimizer.weight_decay > 0,
                                       config.network.activation, config.training.batch};
  return {experiment::arm_label(config), learning.optimizer, hardware::cost_of(model->shapes(problem.steps), learning)};
}

/// bp, fa, dfa × none, grapes × sgd, momentum, adam, of the same network.
std::vector<Arm> arms_beside(experiment::Config config, const Problem& problem) {
  std::vector<Arm> arms;
  config.network.rule.constants.clear();
  for (const char* route : {"bp", "fa", "dfa"})
    for (const char* modulation : {"none", "grapes"})
      for (const char* optimizer : {"sgd", "momentum", "adam"}) {
        config.network.rule.route = route;
        config.network.rule.modulation = modulation;
        config.optimizer.optimizer = optimizer;
        arms.push_back(arm_of(config, problem));
      }
  return arms;
}

constexpr double micro = 1e-6;  // of a picojoule's number: microjoules

/// "0", "612", "12.8 M": three digits that count.
std::string count_text(double count) {
  static const char* const units[] = {"", " k", " M", " G", " T", " P"};
  std::size_t unit = 0;
  while (count >= 999.5 && unit + 1 < std::size(units)) count /= 1000, ++unit;
  const int decimals = unit == 0 && count == std::floor(count) ? 0 : count < 9.995 ? 2 : count < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", count, decimals, units[unit]);
}

std::string signed_text(double count) { return (count < 0 ? "−" : "") + count_text(std::abs(count)); }
/// In microjoules: four digits that count.
std::string energy_text(double picojoules) {
  const double energy = picojoules * micro;
  const int before = energy > 0 ? static_cast<int>(std::floor(std::log10(energy))) + 1 : 1;
  return fmt::format("{:.{}f}", energy, std::max(0, 4 - before));
}

Table layer_table(const Arm& arm, const Prices& prices) {
  Table rows = {{"layer", "phase", "MACs", "other", "read", "written", "state", "sent", "energy µJ"}};
  std::vector<LayerCost> layers = arm.layers;
  layers.push_back(hardware::total(arm.layers));
  for (const LayerCost& layer : layers) {
    std::string name = layer.name;  // once
    for (std::size_t phase = 0; phase < hardware::phases; ++phase) {
      const Work& work = layer.work[phase];
      if (work.accesses.empty()) continue;
      rows.push_back({std::exchange(name, ""), hardware::name_of(static_cast<Phase>(phase)), count_text(work.macs),
                      count_text(work.others()), count_text(work.read()), count_text(work.written()), "", "",
                      energy_text(prices.of(work).total())});
    }
    const Work all = layer.all();
    rows.push_back({"", "all", count_text(all.macs), count_text(all.others()), count_text(all.read()),
                    count_text(all.written()), count_text(layer.state()), count_text(layer.sent()),
                    energy_text(prices.of(layer).total())});
  }
  return rows;
}

Table arm_table(const json& arms) {
  Table rows = {{"arm", "optimizer", "MACs", "other", "words", "state", "sent", "beyond bp", "energy µJ", "to bp"}};
  for (const json& arm : arms)
    rows.push_back({arm["arm"].get<std::string>(), arm["optimizer"].get<std::string>(), count_text(arm["macs"]),
                    count_text(arm["other_operations"]), count_text(arm["words"]), count_text(arm["state"]),
                    count_text(arm["sent"]), signed_text(arm["sent_beyond_bp"]), energy_text(arm["energy_pj"]),
                    fmt::format("{:.4f}", arm["to_bp"]["energy"].get<double>())});
  return rows;
}

std::string picture(const std::string& title, const json& arms) {
  std::vector<std::string> parts;
  for (std::size_t phase = 0; phase < hardware::phases; ++phase)
    parts.push_back(hardware::name_of(static_cast<Phase>(phase)));
  std::vector<report::CostBar> bars;
  for (const json& arm : arms) {
    report::CostBar& bar = bars.emplace_back();
    bar.label = arm["arm"].get<std::string>() + ", " + arm["optimizer"].get<std::string>();
    for (const std::string& part : parts) bar.parts.push_back(arm["energy_by_phase_pj"][part].get<double>() * micro);
  }
  return report::cost_picture(title, "µJ", parts, bars);
}

Exit cost(const Program& program, const CostOptions& options) {
  experiment::Config config;
  if (!options.file.empty()) experiment::read_toml(config, options.file);
  options.settings.apply(config);
  experiment::check(config);
  require_countable(config);
  const hardware::EnergyTable table =
      options.energy.empty() ? hardware::standard_energies() : hardware::read_energies(options.energy);
  const Prices prices{table, find_row(table.numbers, "numbers", options.numbers)};
  const Problem problem = problem_of(program, options, config);

  const Arm arm = arm_of(config, problem);
  const json arms = hardware::documents_of(arms_beside(config, problem), prices);
  const std::string title = fmt::format("Energy of a training step: {}, batch {}, {}", config.network.model,
                                        config.training.batch, options.numbers);
  json layers = json::array();
  for (const LayerCost& layer : arm.layers) layers.push_back(hardware::document_of(layer, prices));
  const json document = {{"model", config.network.model},
                         {"input", problem.signature.input_shape},
                         {"outputs", problem.signature.outputs},
                         {"batch", config.training.batch},
                         {"arm", arm.name},
                         {"optimizer", arm.optimizer},
                         {"numbers", options.numbers},
                         {"energies", {{"name", table.name}, {"source", table.source}}},
                         {"layers", layers},
                         {"total", hardware::document_of(hardware::total(arm.layers), prices)},
                         {"arms", arms}};
  if (!options.out.empty()) {
    const std::filesystem::path folder = options.out;
    write_file(folder / "cost.json", document.dump(2) + "\n");
    write_file(folder / "cost.svg", picture(title, arms));
  }
  if (options.json) {
    print_json(document);
    return Exit::done;
  }
  std::cout << fmt::format("one training step of {}, {}, {}; batch {}, {}\n", config.network.model,
                           program.out().bold(arm.name), arm.optimizer, config.training.batch, options.numbers)
            << columns(layer_table(arm, prices), {2, 3, 4, 5, 6, 7, 8}) << "\n"
            << columns(arm_table(arms), {2, 3, 4, 5, 6, 7, 8, 9})
            << "read, written, words, state, sent: words; to bp: energy, to bp by the same update rule\n"
            << "energies: " << table.name << ": " << table.source << "\n";
  if (!options.out.empty()) std::cout << "written: " << options.out << "/cost.json, cost.svg\n";
  return Exit::done;
}

}  // namespace

void add_cost(Program& program, CLI::App& hardware) {
  CLI::App* verb = add_verb(
      hardware, "cost", "operations, memory, communication and energy of one training step",
      {{"grapes hardware cost --modulation grapes --data mnist", "of the network that grapes train would train"},
       {"grapes hardware cost --input 1x28x28 --outputs 10 --model lenet5 --route dfa", "without any data"},
       {"grapes hardware cost --numbers int8 --factor-bits 2 --modulation grapes", "in integers, factors in steps"},
       {"grapes hardware cost --energy mine.toml --out costs", "prices of one's own; costs/cost.json and cost.svg"}});
  const auto options = std::make_shared<CostOptions>();
  verb->add_option("--config", options->file, "a TOML file with keys; options go before it")->type_name("FILE.toml");
  verb->add_option("--input", options->input, "shape of an example, in place of data")->type_name("784|1x28x28");
  verb->add_option("--outputs", options->outputs, "of the network, with --input")
      ->type_name("WHOLE NUMBER > 0")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}).description(""));
  verb->add_option("--energy", options->energy, "energies of operations and memories [Horowitz 2014]")
      ->type_name("FILE.toml");
  verb->add_option("--numbers", options->numbers, "of which format: a row of that file [float32]")
      ->type_name("float32|float16|int8|...");
  verb->add_option("--out", options->out, "also write cost.json and cost.svg here")->type_name("FOLDER");
  verb->add_flag("--json", options->json, "the result as one JSON document");
  options->settings.add(*verb, {"data", "model", "spiking", "rule", "optimizer", "training"},
                        {"epochs", "patience", "checkpoint-every", "evaluate-every", "arm-name"});
  verb->callback([&program, options] { program.action = [&program, options] { return cost(program, *options); }; });
}

}  // namespace grapes::cli
