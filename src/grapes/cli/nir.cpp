#include "grapes/hardware/nir.h"

#include "grapes/base/text.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/cli/experiment.h"
#include "grapes/cli/export.h"
#include "grapes/experiment/toml.h"
#include "grapes/hardware/nir_array.h"
#include "grapes/hardware/spiking_model.h"
#include "grapes/nir/check.h"
#include "grapes/nir/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

namespace grapes::cli {
namespace {

constexpr double default_dt = 1e-3;  // s

/// What a person wants to see of a graph: a row per node, in the order in which data goes through.
struct Row {
  std::string name, type, in, out, to;
  std::int64_t numbers = 0;
};

std::string shape_or_unknown(const std::optional<nir::Shape>& shape) { return shape ? nir::shape_text(*shape) : "?"; }

std::vector<Row> rows_of(const nir::Graph& graph) {
  const auto shapes = nir::shapes(graph);
  std::map<std::string, std::vector<std::string>> next;
  for (const auto& [from, to] : graph.edges) next[from].push_back(to);
  std::vector<std::string> order;
  for (const auto& [name, node] : graph.nodes)
    if (node.type == "Input") order.push_back(name);
  const auto has = [&](const std::string& name) { return std::find(order.begin(), order.end(), name) != order.end(); };
  for (std::size_t i = 0; i < order.size(); ++i)
    for (const std::string& to : next[order[i]])
      if (graph.nodes.count(to) > 0 && !has(to)) order.push_back(to);
  for (const auto& [name, node] : graph.nodes)
    if (!has(name)) order.push_back(name);
  std::vector<Row> rows;
  for (const std::string& name : order) {
    const nir::Node& node = graph.nodes.at(name);
    const auto ends = shapes.find(name);
    Row row{name, node.type, "?", "?", join(next[name], ", ")};
    if (ends != shapes.end()) {
      row.in = shape_or_unknown(ends->second.in);
      row.out = shape_or_unknown(ends->second.out);
    }
    for (const auto& [field, array] : node.fields)
      if (!array.is_text() && !array.is_whole()) row.numbers += nir::count(array.shape);
    rows.push_back(row);
  }
  return rows;
}

std::string table_of(const nir::Graph& graph) {
  std::vector<std::vector<std::string>> rows = {{"node", "type", "takes", "gives", "numbers", "leads to"}};
  for (const Row& row : rows_of(graph))
    rows.push_back({row.name, row.type, row.in, row.out, std::to_string(row.numbers), row.to});
  return columns(rows, {4});
}

nlohmann::json json_of(const nir::Graph& graph) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const Row& row : rows_of(graph))
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
  std::cout << options.file << ": NIR " << graph.version << (hardware::is_ours(graph) ? ", made by grapes" : "") << "\n"
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

/// Everything about a checkpoint that a graph does not say.
void describe(nir::Fields& metadata, const experiment::Loaded& loaded, const experiment::Config& config,
              const std::vector<std::string>& said) {
  metadata["config"] = nir::text(experiment::to_toml(config));
  metadata["dataset"] = nir::text(experiment::to_json(loaded.info).dump());
  if (loaded.normalization.shift.defined()) metadata["input_shift"] = hardware::array_of(loaded.normalization.shift);
  if (loaded.normalization.scale.defined()) metadata["input_scale"] = hardware::array_of(loaded.normalization.scale);
  if (!said.empty()) metadata["approximations"] = nir::text(join(said, "; "));
}

Exit export_nir(const Program& program, const NirExportOptions& options) {
  const experiment::Loaded loaded = experiment::load(checkpoint_path(options.checkpoint));
  const nn::Signature signature = train::signature_of(loaded.info);
  std::vector<std::string> said, again;
  const hardware::SpikingNet net =
      hardware::net_of(*loaded.model, loaded.config.network, signature, options.approximate, said);
  nir::Graph graph = hardware::to_nir(net, options.dt);
  experiment::Config config = loaded.config;
  if (!said.empty()) config.network = hardware::nearest(config.network, again);
  describe(graph.metadata, loaded, config, said);
  nir::write(options.out, graph);
  for (const std::string& sentence : said) program.say("note: " + sentence);
  if (options.json) {
    nlohmann::json document = json_of(graph);
    document["file"] = options.out;
    document["dt"] = options.dt;
    document["approximations"] = said;
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

/// A checkpoint to be.
struct Imported {
  experiment::Config config;
  data::DatasetInfo info;
  data::Normalization normalization;
};

const nir::Array& entry(const nir::Graph& graph, const std::string& name, const std::string& file) {
  const auto found = graph.metadata.find(name);
  if (found == graph.metadata.end()) throw DataError(file + ": the entry '" + name + "' of its metadata is missing");
  return found->second;
}

/// What is taken off the inputs, or what they are divided by. @return undefined where there is none
at::Tensor of_inputs(const nir::Graph& graph, const std::string& name, const data::DatasetInfo& info,
                     const std::string& file) {
  const auto found = graph.metadata.find(name);
  if (found == graph.metadata.end()) return {};
  const at::Tensor numbers = found->second.is_text() ? at::Tensor() : hardware::tensor_of(found->second);
  const auto fits = [&] {
    try {
      return at::infer_size(numbers.sizes(), info.input_shape) == info.input_shape;
    } catch (const c10::Error&) {
      return false;
    }
  };
  if (!numbers.defined() || !fits())
    throw DataError(file + ": the entry '" + name + "' of its metadata must be numbers that fit the inputs, " +
                    nir::shape_text(info.input_shape) + "; got " +
                    (numbers.defined() ? nir::shape_text(found->second.shape) : "text"));
  return numbers;
}

/// A graph that `grapes export nir` wrote says everything.
Imported ours(const nir::Graph& graph, const NirImportOptions& options) {
  if (!options.settings.given().empty() || options.dt)
    throw UsageError("--" + (options.dt ? "dt" : *options.settings.given().begin()) + ": " + options.file +
                     " was written by grapes export nir and says everything by itself");
  Imported all;
  try {
    experiment::read_toml_text(all.config, nir::text_of(entry(graph, "config", options.file)),
                               options.file + ": its configuration");
  } catch (const UsageError& error) {  // it is not the user's
    throw DataError(error.what());
  }
  try {
    all.info = experiment::info_from(record::Json::parse(nir::text_of(entry(graph, "dataset", options.file))));
    if (all.info.outputs < 1) throw DataError("outputs must be at least 1");
  } catch (const std::exception& error) {
    throw DataError(options.file + ": the entry 'dataset' of its metadata cannot be understood: " + error.what());
  }
  all.normalization.shift = of_inputs(graph, "input_shift", all.info, options.file);
  all.normalization.scale = of_inputs(graph, "input_scale", all.info, options.file);
  return all;
}

/// Of another program's graph: the data, if they are named, else classes by number.
Imported theirs(const Program& program, const hardware::SpikingNet& net, const NirImportOptions& options) {
  Imported all;
  options.settings.apply(all.config);
  all.config.network = hardware::options_of(net, all.config.network, options.file);
  const bool each_step = hardware::answers_each_step(net);
  const std::size_t last = net.stages.size() - (each_step ? 1 : 2);
  const std::int64_t outputs = std::get<hardware::Linear>(net.stages[last].what).weight.size(0);
  if (options.settings.given().count("data") > 0) {
    ProgressBar bar(program.err(), program.quiet);
    const data::Splits splits = open_data(program, all.config, bar);
    all.info = splits.info;
    all.normalization = splits.normalization;
    const nn::Signature asked = train::signature_of(all.info);
    const std::int64_t inputs = nir::count(asked.input_shape);
    if (inputs != net.input[0] || asked.outputs != outputs || asked.each_step != each_step)
      throw DataError(fmt::format("{} takes {} inputs and gives {} outputs{}; {} has {} and {}{}", options.file,
                                  net.input[0], outputs, each_step ? " at every step" : "", splits.name, inputs,
                                  asked.outputs, asked.each_step ? " at every step" : ""));
  } else {
    all.info.problem = each_step ? data::ProblemKind::prediction : data::ProblemKind::classification;
    all.info.sequence = each_step;
    all.info.input_shape = net.input;
    all.info.outputs = outputs;
    for (std::int64_t c = 0; c < outputs; ++c) all.info.classes.push_back(std::to_string(c));
  }
  experiment::check(all.config);
  return all;
}

Exit import_nir(const Program& program, const NirImportOptions& options) {
  const nir::Graph graph = nir::read(options.file);
  const hardware::SpikingNet net = hardware::from_nir(graph, options.dt.value_or(default_dt), options.file);
  const Imported all = hardware::is_ours(graph) ? ours(graph, options) : theirs(program, net, options);
  const auto model = nn::make_network(all.config.network, train::signature_of(all.info), all.config.training.seed);
  hardware::fill(*model, all.config.network, net, options.file);
  experiment::save(options.out, all.config, all.info, all.normalization, *model);
  const nn::Options& network = all.config.network;
  if (options.json) {
    print_json({{"checkpoint", options.out},
                {"model", network.model},
                {"neuron", network.spiking.neuron},
                {"recurrent", network.spiking.recurrent},
                {"readout", network.spiking.readout}});
    return Exit::done;
  }
  std::cout << model->describe() << "checkpoint: " << options.out << "\n";
  return Exit::done;
}

void add_check(Program& program, CLI::App& parent) {
  CLI::App* verb = add_verb(parent, "check", "the graph in a NIR file, and what is wrong with it",
                            {{"grapes nir check net.nir", "exit code 3 if there is a fault"},
                             {"grapes nir check net.nir --json", "for a program"}});
  const auto options = std::make_shared<CheckOptions>();
  verb->add_option("file", options->file, "a graph")->type_name("FILE.nir")->required();
  verb->add_flag("--json", options->json, "the result as one JSON document");
  verb->callback([&program, options] { program.action = [options] { return check(*options); }; });
}

const char* const dt_meaning = "length of a step, in seconds";

}  // namespace

void add_nir(Program& program) {
  CLI::App* verb = add_verb(program.app, "nir", "files of the Neuromorphic Intermediate Representation",
                            {{"grapes nir check net.nir", "look at one; grapes export nir writes them"}});
  verb->require_subcommand(1);
  add_check(program, *verb);
}

void add_export_nir(Program& program, CLI::App& parent) {
  CLI::App* verb = add_verb(
      parent, "nir", "a trained spiking network for neuromorphic programs, as a NIR file",
      {{"grapes export nir runs/one --out one.nir", "of lif and cuba-lif neurons: the same spikes"},
       {"grapes export nir runs/one --dt 1e-4 --out one.nir", "a step is 0.1 ms"},
       {"grapes export nir runs/soft --approximate --out soft.nir", "what NIR has no node for by the nearest"}});
  const auto options = std::make_shared<NirExportOptions>();
  add_checkpoint(*verb, options->checkpoint);
  verb->add_option("--out", options->out, "what to write")->type_name("FILE.nir")->required();
  verb->add_option("--dt", options->dt, std::string(dt_meaning) + " [0.001]")->type_name("SECONDS > 0");
  verb->add_flag("--approximate", options->approximate, "what NIR cannot express is replaced, and that is said");
  verb->add_flag("--json", options->json, "the result as one JSON document");
  verb->callback(
      [&program, options] { program.action = [&program, options] { return export_nir(program, *options); }; });
}

void add_import_nir(Program& program, CLI::App& parent) {
  CLI::App* verb =
      add_verb(parent, "nir", "a checkpoint from a NIR file: one of ours, or a chain of LIF and the like",
               {{"grapes import nir one.nir --out one.safetensors", "of grapes export nir: the same network"},
                {"grapes import nir theirs.nir --dt 1e-4 --data mnist --time-steps 50 --out ours.safetensors",
                 "of another program: the step, and what it is to be shown"}});
  const auto options = std::make_shared<NirImportOptions>();
  verb->add_option("file", options->file, "a graph")->type_name("FILE.nir")->required();
  verb->add_option("--out", options->out, "the checkpoint to write")->type_name("FILE.safetensors")->required();
  verb->add_option("--dt", options->dt, std::string(dt_meaning) + ", of another program's graph [0.001]")
      ->type_name("SECONDS > 0");
  verb->add_flag("--json", options->json, "the result as one JSON document");
  // What the graph decides is no question.
  options->settings.add(*verb, {"data", "spiking"},
                        {"augment", "order", "neuron", "recurrent", "membrane-activation", "membrane-decay",
                         "learn-decay", "threshold", "learn-threshold", "synaptic-decay", "reset"});
  verb->callback(
      [&program, options] { program.action = [&program, options] { return import_nir(program, *options); }; });
}

}  // namespace grapes::cli
