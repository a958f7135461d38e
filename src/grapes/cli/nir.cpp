#include "grapes/exchange/nir.h"

#include "grapes/base/text.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/cli/experiment.h"
#include "grapes/cli/export.h"
#include "grapes/exchange/checkpoint.h"
#include "grapes/nir/check.h"
#include "grapes/nir/file.h"
#include "grapes/nir/outline.h"

#include <fmt/format.h>

#include <iostream>
#include <optional>

namespace grapes::cli {
namespace {

constexpr double default_dt = 1e-3;  // s

std::string table_of(const nir::Graph& graph) {
  std::vector<std::vector<std::string>> rows = {{"node", "type", "takes", "gives", "numbers", "leads to"}};
  for (const nir::Row& row : nir::outline(graph))
    rows.push_back({row.name, row.type, row.in, row.out, std::to_string(row.numbers), join(row.to, ", ")});
  return columns(rows, "llllrl");
}

nlohmann::json json_of(const nir::Graph& graph) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const nir::Row& row : nir::outline(graph))
    nodes.push_back(
        {{"name", row.name}, {"type", row.type}, {"takes", row.in}, {"gives", row.out}, {"numbers", row.numbers}});
  return {{"version", graph.version}, {"nodes", nodes}, {"edges", graph.edges}};
}

struct CheckOptions {
  std::string file;
  bool json = false;
};

Exit check(const CheckOptions& options) {
  const nir::Graph graph = nir::read(options.file);
  const std::vector<nir::Fault> faults = nir::check(graph);
  const Exit exit = faults.empty() ? Exit::done : Exit::data;
  if (options.json) {
    nlohmann::json document = json_of(graph), list = nlohmann::json::array();
    for (const nir::Fault& fault : faults)
      list.push_back({{"node", fault.node}, {"field", fault.field}, {"text", fault.text}});
    document["file"] = options.file;
    document["faults"] = list;
    print_json(document);
    return exit;
  }
  std::cout << options.file << ": NIR " << graph.version << (exchange::is_ours(graph) ? ", made by grapes" : "") << "\n"
            << table_of(graph) << "\n";
  for (const nir::Fault& fault : faults) std::cout << fault.line() << "\n";
  std::cout << (faults.empty() ? "no fault" : fmt::format("{} fault{}", faults.size(), faults.size() > 1 ? "s" : ""))
            << "\n";
  return exit;
}

struct NirExportOptions {
  std::string checkpoint, out;
  double dt = default_dt;
  bool approximate = false, json = false;
};

Exit export_nir(const Program& program, const NirExportOptions& options) {
  const experiment::Loaded loaded = experiment::load(checkpoint_path(options.checkpoint));
  const auto [graph, replaced] = exchange::graph_of(loaded, options.dt, options.approximate);
  nir::write(options.out, graph);
  for (const std::string& sentence : replaced) program.say("note: " + sentence);
  if (options.json) {
    nlohmann::json document = json_of(graph);
    document["file"] = options.out;
    document["dt"] = options.dt;
    document["approximations"] = replaced;
    print_json(document);
    return Exit::done;
  }
  std::cout << table_of(graph) << "file: " << options.out << "\n";
  return Exit::done;
}

struct NirImportOptions {
  std::string file, out;
  std::optional<double> dt;
  bool json = false;
  Settings settings;
};

/// Imports a graph that `grapes export nir` wrote, which needs no options.
exchange::Import ours(const nir::Graph& graph, const NirImportOptions& options) {
  if (!options.settings.given().empty() || options.dt)
    throw UsageError("--" + (options.dt ? "dt" : *options.settings.given().begin()) + ": " + options.file +
                     " was written by grapes export nir and already contains this setting");
  return exchange::checkpoint_of(graph, options.file);
}

exchange::Import theirs(const Program& program, const nir::Graph& graph, const NirImportOptions& options) {
  experiment::Config config;
  config.data.normalize = "unit";  // nobody has scaled the inputs and targets of another program's network
  options.settings.apply(config);
  std::optional<data::Splits> splits;
  if (options.settings.given().count("data") > 0) {
    ProgressBar bar(program.err(), program.quiet);
    splits = open_data(program, config, bar);
  }
  return exchange::checkpoint_of(graph, options.dt.value_or(default_dt), config, splits ? &*splits : nullptr,
                                 options.file);
}

Exit import_nir(const Program& program, const NirImportOptions& options) {
  const nir::Graph graph = nir::read(options.file);
  const exchange::Import made = exchange::is_ours(graph) ? ours(graph, options) : theirs(program, graph, options);
  experiment::save(options.out, made.config, made.info, made.normalization, *made.model);
  const nn::Options& network = made.config.network;
  if (options.json) {
    print_json({{"checkpoint", options.out},
                {"model", nn::to_string(network.model)},
                {"neuron", network.spiking.neuron},
                {"recurrent", network.spiking.recurrent},
                {"readout", network.spiking.readout}});
    return Exit::done;
  }
  std::cout << made.model->describe() << "checkpoint: " << options.out << "\n";
  return Exit::done;
}

void add_check(Program& program, CLI::App& parent) {
  CLI::App* verb = add_verb(parent, "check", "show the graph in a NIR file and list its faults",
                            {{"grapes nir check net.nir", "exit with code 3 if there is a fault"},
                             {"grapes nir check net.nir --json", "print JSON"}});
  const auto options = std::make_shared<CheckOptions>();
  verb->add_option("file", options->file, "the graph")->type_name("FILE.nir")->required();
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  verb->callback([&program, options] { program.action = [options] { return check(*options); }; });
}

const char* const dt_meaning = "length of a time step, in seconds";

}  // namespace

void add_nir(Program& program) {
  CLI::App* verb = add_verb(program.app, "nir", "check files of the Neuromorphic Intermediate Representation (NIR)",
                            {{"grapes nir check net.nir", "show a file"}});
  verb->require_subcommand(1);
  add_check(program, *verb);
}

void add_export_nir(Program& program, CLI::App& parent) {
  CLI::App* verb =
      add_verb(parent, "nir", "export a trained spiking network as a NIR graph",
               {{"grapes export nir runs/one --out one.nir", "export lif or cuba-lif neurons exactly"},
                {"grapes export nir runs/one --dt 1e-4 --out one.nir", "export with a time step of 0.1 ms"},
                {"grapes export nir runs/soft --approximate --out soft.nir",
                 "replace what NIR does not have by the nearest node"}});
  const auto options = std::make_shared<NirExportOptions>();
  add_checkpoint(*verb, options->checkpoint);
  verb->add_option("--out", options->out, "file to write")->type_name("FILE.nir")->required();
  verb->add_option("--dt", options->dt, std::string(dt_meaning) + " [0.001]")->type_name("SECONDS > 0");
  verb->add_flag("--approximate", options->approximate, "replace what NIR cannot express, with a notice");
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  verb->callback(
      [&program, options] { program.action = [&program, options] { return export_nir(program, *options); }; });
}

void add_import_nir(Program& program, CLI::App& parent) {
  CLI::App* verb = add_verb(
      parent, "nir", "make a checkpoint from a NIR graph: one of Grapes' own, or a chain of LIF or CubaLIF layers",
      {{"grapes import nir one.nir --out one.safetensors", "import a graph that Grapes exported"},
       {"grapes import nir theirs.nir --dt 1e-4 --data mnist --time-steps 50 --out ours.safetensors",
        "import another program's graph; give its time step and its data"}});
  const auto options = std::make_shared<NirImportOptions>();
  verb->add_option("file", options->file, "the graph")->type_name("FILE.nir")->required();
  verb->add_option("--out", options->out, "checkpoint to write")->type_name("FILE.safetensors")->required();
  verb->add_option("--dt", options->dt, std::string(dt_meaning) + ", for another program's graph [0.001]")
      ->type_name("SECONDS > 0");
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  // Keys that the graph determines are left out.
  options->settings.add(*verb, {"data", "spiking"},
                        {"augment", "order", "neuron", "recurrent", "membrane-activation", "membrane-decay",
                         "learn-decay", "threshold", "learn-threshold", "synaptic-decay", "reset"});
  verb->callback(
      [&program, options] { program.action = [&program, options] { return import_nir(program, *options); }; });
}

}  // namespace grapes::cli
