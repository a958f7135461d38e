#include "grapes/cli/export.h"

#include "grapes/base/text.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/exchange/weights.h"

#include <fmt/format.h>

#include <iostream>

namespace grapes::cli {
namespace {

struct ExportOptions {
  std::string checkpoint, out, names;
  bool buffers = false, json = false;
};

Exit export_weights(const ExportOptions& options) {
  const experiment::Loaded loaded = experiment::load(checkpoint_path(options.checkpoint));
  const std::vector<std::string> names = options.names.empty()
                                             ? exchange::sequential_names(*loaded.model, loaded.config.network)
                                             : split(options.names, ',');
  const train::Tensors content = exchange::export_weights(*loaded.model, names, options.buffers);
  train::write_safetensors(options.out, content);
  if (options.json) {
    nlohmann::json shapes = nlohmann::json::object();
    for (const auto& [name, tensor] : content.tensors) shapes[name] = tensor.sizes().vec();
    print_json({{"file", options.out}, {"tensors", shapes}});
    return Exit::done;
  }
  for (const auto& [name, tensor] : content.tensors)
    std::cout << fmt::format("{}  [{}]\n", name, fmt::join(tensor.sizes(), ", "));
  std::cout << "file: " << options.out << "\n";
  return Exit::done;
}

}  // namespace

void check_given(const CLI::App& verb, const std::vector<std::string>& needed) {
  const std::vector<CLI::App*> below = verb.get_subcommands();
  for (const CLI::Option* option : verb.get_options())
    if (!below.empty() && option->count() > 0)
      throw CLI::ValidationError(option->get_name(),
                                 "is not for '" + verb.get_name() + " " + below.front()->get_name() + "'");
  for (const std::string& name : needed)
    if (below.empty() && verb.get_option(name)->count() == 0) throw CLI::RequiredError(name);
}

void add_export(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "export",
               "export a trained network's weights for PyTorch, for C, or as a NIR graph or an ONNX model",
               {{"grapes export runs/one --out one.safetensors",
                 "name the layers as torch.nn.Sequential(Linear, ReLU, Linear, ...) does: 0, 2, ..."},
                {"grapes export best.safetensors --names fc1,fc2,head --out mine.safetensors",
                 "name the layers fc1, fc2 and head"},
                {"grapes export c runs/one --out net.h", "write C for a microcontroller, see grapes export c --help"},
                {"grapes export nir runs/one --out one.nir", "write a NIR graph, see grapes export nir --help"},
                {"grapes export onnx runs/one --out one.onnx", "write an ONNX model, see grapes export onnx --help"}});
  const auto options = std::make_shared<ExportOptions>();
  add_checkpoint(*verb, options->checkpoint)->required(false);
  verb->add_option("--out", options->out, "file to write")->type_name("FILE.safetensors");
  verb->add_option("--names", options->names,
                   "names of the layers, from input to output [0,2,... ; with dropout 0,3,... ; spiking 0,1,...]")
      ->type_name("NAME[,NAME...]");
  verb->add_flag("--buffers", options->buffers, "also write the feedback weights, as NAME.feedback");
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  verb->callback([&program, verb, options] {
    check_given(*verb, {"checkpoint", "--out"});
    if (verb->get_subcommands().empty()) program.action = [options] { return export_weights(*options); };
  });
  add_export_c(program, *verb);
  add_export_nir(program, *verb);
  add_export_onnx(program, *verb);
}

}  // namespace grapes::cli
