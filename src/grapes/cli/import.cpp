#include "grapes/base/text.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/cli/experiment.h"
#include "grapes/cli/export.h"
#include "grapes/exchange/weights.h"
#include "grapes/train/state.h"

#include <fmt/format.h>

#include <iostream>
#include <optional>

namespace grapes::cli {
namespace {

struct ImportOptions {
  std::string file, out, names;
  bool strict = true, json = false;
  Settings settings;
};

Exit import_weights(const Program& program, const ImportOptions& options) {
  const train::Tensors content = train::read_safetensors(options.file);
  if (content.metadata.count("config") > 0)
    throw UsageError(options.file + " is already a checkpoint of Grapes and need not be imported");
  const std::set<std::string> given = options.settings.given();
  experiment::Config config;
  config.data.normalize = "unit";  // nobody has scaled the inputs and targets of another program's network
  options.settings.apply(config);
  const std::vector<std::string> names =
      options.names.empty() ? exchange::guess_modules(content, options.file) : split(options.names, ',');
  std::optional<exchange::DenseChain> chain;
  if (given.count("model") == 0 || given.count("data") == 0)
    chain = exchange::dense_chain(content, names, options.file);
  if (given.count("model") == 0) config.network.model = chain->model;
  if (given.count("bias") == 0) config.network.bias = exchange::has_biases(content, names);
  experiment::check(config);

  data::DatasetInfo info;
  data::Normalization normalization;
  if (given.count("data") > 0) {
    ProgressBar bar(program.err(), program.quiet);
    const data::Splits splits = open_data(program, config, bar);
    info = splits.info;
    normalization = splits.normalization;
  } else {
    info = exchange::numbered_classes({chain->inputs}, chain->outputs);
  }
  const auto model = nn::make_network(config.network, train::signature_of(info), config.training.seed);
  const exchange::Match match = exchange::import_weights(content, *model, names);
  if (options.strict && !match.whole())
    throw DataError(options.file + ": " + match.faults() + " (--no-strict imports what matches)");
  experiment::save(options.out, config, info, normalization, *model);

  if (options.json) {
    nlohmann::json loaded = nlohmann::json::object();
    for (const auto& [theirs, ours] : match.loaded) loaded[theirs] = ours;
    print_json({{"checkpoint", options.out},
                {"model", nn::to_string(config.network.model)},
                {"loaded", loaded},
                {"missing", match.missing},
                {"unexpected", match.unexpected},
                {"misshapen", match.misshapen}});
    return Exit::done;
  }
  for (const auto& [theirs, ours] : match.loaded) std::cout << fmt::format("{} -> {}\n", theirs, ours);
  for (const std::string& name : match.missing) std::cout << "missing: " << name << " (keeps its initial values)\n";
  for (const std::string& name : match.unexpected) std::cout << "unexpected: " << name << " (ignored)\n";
  for (const std::string& fault : match.misshapen)
    std::cout << "wrong shape: " << fault << " (keeps its initial values)\n";
  std::cout << "network: " << nn::to_string(config.network.model) << (config.network.bias ? ", with biases" : "")
            << "\n";
  std::cout << "checkpoint: " << options.out << "\n";
  return Exit::done;
}

}  // namespace

void add_import(Program& program) {
  CLI::App* verb = add_verb(
      program.app, "import", "make a checkpoint from safetensors weights of PyTorch, a NIR graph or an ONNX model",
      {{"grapes import theirs.safetensors --out ours.safetensors", "import dense layers, ordered by name"},
       {"grapes import theirs.safetensors --names fc1,fc2,head --data mnist --activation tanh --out ours.safetensors",
        "name the layers, the data and the activation"},
       {"grapes import theirs.safetensors --model mlp:256 --data digits --no-strict --out ours.safetensors",
        "import the tensors that fit and list the others"},
       {"grapes import nir one.nir --out ours.safetensors", "import a NIR graph, see grapes import nir --help"},
       {"grapes import onnx one.onnx --out ours.safetensors", "import an ONNX model, see grapes import onnx --help"}});
  const auto options = std::make_shared<ImportOptions>();
  verb->add_option("file", options->file,
                   "file with the weights NAME.weight [out, in] and the biases NAME.bias [out] of each layer")
      ->type_name("FILE.safetensors");
  verb->add_option("--out", options->out, "checkpoint to write")->type_name("FILE.safetensors");
  verb->add_option("--names", options->names,
                   "names of the layers, from input to output [all that have a weight, sorted by name]")
      ->type_name("NAME[,NAME...]");
  verb->add_flag("--strict,!--no-strict", options->strict, "fail if a tensor or a layer has no counterpart [true]");
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  options->settings.add(*verb, {"data", "model"}, {"augment", "order"});
  verb->callback([&program, verb, options] {
    check_given(*verb, {"file", "--out"});
    if (verb->get_subcommands().empty())
      program.action = [&program, options] { return import_weights(program, *options); };
  });
  add_import_nir(program, *verb);
  add_import_onnx(program, *verb);
}

}  // namespace grapes::cli
