#include "grapes/exchange/nir.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/cli/experiment.h"
#include "grapes/cli/export.h"
#include "grapes/exchange/checkpoint.h"
#include "grapes/nir/check.h"
#include "grapes/nir/file.h"
#include "grapes/nir/outline.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <utility>

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

/// A graph of Grapes has all settings, so none can be given.
[[noreturn]] void refuse_setting(const std::string& option, const std::string& file) {
  throw UsageError("--" + option + ": " + file + " was written by grapes export nir and already contains this setting");
}

/// How to read another program's graph.
struct TimeOptions {
  std::optional<double> dt;
  std::optional<std::string> integrator, reset;

  /// @throws UsageError for an option that is given for a graph of Grapes
  void check(const nir::Graph& graph, const std::string& file) const {
    if (!exchange::is_ours(graph)) return;
    const char* const given = dt ? "dt" : integrator ? "integrator" : reset ? "reset" : nullptr;
    if (given != nullptr) refuse_setting(given, file);
  }
  exchange::Reading reading() const {
    return {integrator == "exact" ? nn::Integrator::exact : nn::Integrator::euler, reset.value_or("hard")};
  }
  /// Without a time constant, dt only scales currents, and other programs count in steps.
  double step(const Program& program, const nir::Graph& graph) const {
    if (dt || exchange::is_ours(graph)) return dt.value_or(0);
    if (exchange::has_times(graph)) return default_dt;
    program.say(
        "note: no node has a time constant, so dt is 1: each time step adds r times the current (set dt with --dt)");
    return 1;
  }
};

void add_time(CLI::App& verb, TimeOptions& options) {
  verb.add_option("--dt", options.dt,
                  "length of a time step, in seconds, for another program's graph [0.001; 1 without time constants]")
      ->type_name("SECONDS > 0");
  verb.add_option("--integrator", options.integrator,
                  "how a time step is computed, for another program's graph; exact: decays of e^(-dt/tau), exact if "
                  "the current of a neuron is constant during the step [euler]")
      ->type_name("euler|exact")
      ->check(CLI::IsMember({"euler", "exact"}).description(""));
  verb.add_option(
          "--reset", options.reset,
          "what a spike does, for another program's graph; hard: sets the membrane to v_reset; subtract: subtracts the "
          "threshold, before the leak of the next step [hard]")
      ->type_name("hard|subtract")
      ->check(CLI::IsMember({"hard", "subtract"}).description(""));
}

struct RunOptions {
  std::string file, inputs, out;
  bool membranes = false, json = false;
  TimeOptions time;
};

/// The rows of a table of numbers, [time, columns], below a line of names or without one.
/// @param columns  number of columns to read; there may be more
at::Tensor read_steps(const std::string& file, std::int64_t columns) {
  std::vector<double> numbers;
  std::int64_t number = 0, steps = 0;
  bool first = true;
  const auto is_number = [](const std::string& cell) { return to_double(trim(cell)).has_value(); };
  for (const std::string& line : split(read_file(file), '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    const std::vector<std::string> cells = split(line, ',');
    if (std::exchange(first, false) && std::ranges::none_of(cells, is_number)) continue;
    const auto refuse = [&](const std::string& what) {
      throw DataError(fmt::format("{}, line {}: {}", file, number, what));
    };
    if (static_cast<std::int64_t>(cells.size()) < columns)
      refuse(fmt::format("expected a number for each of {} inputs; got {} columns", columns, cells.size()));
    for (std::int64_t c = 0; c < columns; ++c) {
      const auto value = to_double(trim(cells[static_cast<std::size_t>(c)]));
      if (!value) refuse("expected numbers, one time step in a line; got '" + cells[static_cast<std::size_t>(c)] + "'");
      numbers.push_back(*value);
    }
    ++steps;
  }
  if (steps == 0) throw DataError(file + ": has no time steps");
  return at::tensor(numbers, at::kDouble).view({steps, columns});
}

/// The dtype in which a net computes: that of its weights.
at::ScalarType dtype_of(const exchange::SpikingNet& net) {
  for (const exchange::Stage& stage : net.stages) {
    if (const auto* linear = std::get_if<exchange::Linear>(&stage.what)) return linear->weight.scalar_type();
    if (const auto* c = std::get_if<exchange::Convolution>(&stage.what)) return c->weight.scalar_type();
  }
  return at::kDouble;
}

Exit run_graph(const Program& program, const RunOptions& options) {
  const nir::Graph graph = nir::read(options.file);
  options.time.check(graph, options.file);
  const exchange::SpikingNet net =
      exchange::from_nir(graph, options.time.step(program, graph), options.file, options.time.reading());
  std::vector<std::int64_t> shape = net.input;
  const at::Tensor x = read_steps(options.inputs, nir::count(shape));
  shape.insert(shape.begin(), {x.size(0), 1});
  std::map<std::string, at::Tensor> membranes;
  const at::Tensor y = exchange::run(net, x.to(dtype_of(net)).view(shape), &membranes).flatten(1).to(at::kDouble);
  std::vector<std::string> names;
  std::vector<at::Tensor> parts = {y};
  for (std::int64_t n = 0; n < y.size(1); ++n) names.push_back(fmt::format("y{}", n));
  if (options.membranes)
    for (const exchange::Stage& stage : net.stages)
      if (const auto found = membranes.find(stage.name); found != membranes.end()) {
        parts.push_back(found->second.flatten(1).to(at::kDouble));
        for (std::int64_t n = 0; n < parts.back().size(1); ++n) names.push_back(fmt::format("{}.v{}", stage.name, n));
      }
  const at::Tensor table = at::cat(parts, 1).contiguous();
  if (options.json) {
    nlohmann::json columns = nlohmann::json::object();
    for (std::size_t n = 0; n < names.size(); ++n) {
      const at::Tensor column = table.select(1, static_cast<std::int64_t>(n)).contiguous();
      columns[names[n]] = std::vector<double>(column.data_ptr<double>(), column.data_ptr<double>() + column.numel());
    }
    print_json({{"file", options.file}, {"steps", x.size(0)}, {"columns", columns}});
    return Exit::done;
  }
  std::string text = join(names, ",") + "\n";
  const double* at = table.data_ptr<double>();
  for (std::int64_t t = 0; t < table.size(0); ++t)
    for (std::size_t n = 0; n < names.size(); ++n) text += shortest(*at++) + (n + 1 < names.size() ? "," : "\n");
  if (options.out.empty()) {
    std::cout << text;
    return Exit::done;
  }
  write_file(options.out, text);
  std::cout << fmt::format("{} time steps, mean output {:.6g}\nfile: {}\n", x.size(0), y.mean().item<double>(),
                           options.out);
  return Exit::done;
}

void add_run_graph(Program& program, CLI::App& parent) {
  CLI::App* verb = add_verb(
      parent, "run", "compute the outputs of a NIR file's network from a table of inputs, one time step per line",
      {{"grapes nir run net.nir inputs.csv --dt 1e-4", "print the outputs of every time step"},
       {"grapes nir run net.nir inputs.csv --dt 1e-4 --membranes --out trace.csv",
        "write the outputs and all membranes to a table"}});
  const auto options = std::make_shared<RunOptions>();
  verb->add_option("file", options->file, "the graph")->type_name("FILE.nir")->required();
  verb->add_option(
          "inputs", options->inputs,
          "table of numbers with a column for each input, with or without a line of names; further columns are ignored")
      ->type_name("FILE.csv")
      ->required();
  add_time(*verb, options->time);
  verb->add_flag("--membranes", options->membranes,
                 "also write the membrane of each neuron after its reset, as column NODE.vN");
  verb->add_option("--out", options->out, "table to write [standard output]")->type_name("FILE.csv");
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  verb->callback(
      [&program, options] { program.action = [&program, options] { return run_graph(program, *options); }; });
}

struct NirImportOptions {
  std::string file, out;
  TimeOptions time;
  bool json = false;
  Settings settings;
};

/// Imports a graph that `grapes export nir` wrote, which needs no options.
exchange::Import ours(const nir::Graph& graph, const NirImportOptions& options) {
  if (!options.settings.given().empty()) refuse_setting(*options.settings.given().begin(), options.file);
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
  return exchange::checkpoint_of(graph, options.time.step(program, graph), options.time.reading(), config,
                                 splits ? &*splits : nullptr, options.file);
}

Exit import_nir(const Program& program, const NirImportOptions& options) {
  const nir::Graph graph = nir::read(options.file);
  options.time.check(graph, options.file);
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
  CLI::App* verb = add_verb(
      program.app, "nir", "check and run files of the Neuromorphic Intermediate Representation (NIR)",
      {{"grapes nir check net.nir", "show a file"}, {"grapes nir run net.nir inputs.csv", "compute its outputs"}});
  verb->require_subcommand(1);
  add_check(program, *verb);
  add_run_graph(program, *verb);
}

void add_export_nir(Program& program, CLI::App& parent) {
  CLI::App* verb =
      add_verb(parent, "nir", "export a trained spiking network as a NIR graph",
               {{"grapes export nir runs/one --out one.nir", "export lif or cuba-lif neurons exactly"},
                {"grapes export nir runs/one --dt 1e-4 --out one.nir", "export with a time step of 0.1 ms"},
                {"grapes export nir runs/soft --approximate --out soft.nir",
                 "replace what NIR does not have by the nearest form"}});
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
      parent, "nir", "make a checkpoint from a NIR graph: one of Grapes' own, or a chain of layers of spiking neurons",
      {{"grapes import nir one.nir --out one.safetensors", "import a graph that Grapes exported"},
       {"grapes import nir theirs.nir --dt 1e-4 --data mnist --time-steps 50 --out ours.safetensors",
        "import another program's graph, with its time step and its data"}});
  const auto options = std::make_shared<NirImportOptions>();
  verb->add_option("file", options->file, "the graph")->type_name("FILE.nir")->required();
  verb->add_option("--out", options->out, "checkpoint to write")->type_name("FILE.safetensors")->required();
  add_time(*verb, options->time);
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  // Keys that the graph determines are left out.
  options->settings.add(*verb, {"data", "spiking"},
                        {"augment", "order", "neuron", "recurrent", "membrane-activation", "membrane-decay",
                         "learn-decay", "threshold", "learn-threshold", "synaptic-decay", "reset", "reset-value",
                         "refractory", "adaptation", "adaptation-decay", "own-constants"});
  verb->callback(
      [&program, options] { program.action = [&program, options] { return import_nir(program, *options); }; });
}

}  // namespace grapes::cli
