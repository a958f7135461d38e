#include "grapes/exchange/onnx.h"

#include "grapes/cli/checkpoint.h"
#include "grapes/cli/experiment.h"
#include "grapes/cli/export.h"
#include "grapes/onnx/file.h"

#include <fmt/format.h>

#include <iostream>
#include <map>
#include <optional>

namespace grapes::cli {
namespace {

struct OnnxExportOptions {
  std::string checkpoint, out;
  bool logits = false, json = false;
};

/// The number of nodes of each operator.
std::map<std::string, int> operators_of(const onnx::Graph& graph) {
  std::map<std::string, int> counts;
  for (const onnx::Node& node : graph.nodes) ++counts[node.type];
  return counts;
}

Exit export_onnx(const OnnxExportOptions& options) {
  const experiment::Loaded loaded = experiment::load(checkpoint_path(options.checkpoint));
  const onnx::Model model = exchange::to_onnx(loaded, options.logits);
  onnx::write(options.out, model);
  const onnx::Value &input = model.graph.inputs.at(0), &output = model.graph.outputs.at(0);
  const auto operators = operators_of(model.graph);
  if (options.json) {
    print_json({{"file", options.out}, {"input", input.shape}, {"output", output.shape}, {"operators", operators}});
    return Exit::done;
  }
  std::vector<std::vector<std::string>> rows = {{"operator", "nodes"}};
  for (const auto& [type, count] : operators) rows.push_back({type, std::to_string(count)});
  std::cout << columns(rows, "lr")
            << fmt::format("{} {} -> {} {}\n", input.name, onnx::shape_text(input.shape), output.name,
                           onnx::shape_text(output.shape))
            << "file: " << options.out << "\n";
  return Exit::done;
}

struct OnnxImportOptions {
  std::string file, out;
  bool json = false;
  Settings settings;
};

Exit import_onnx(const Program& program, const OnnxImportOptions& options) {
  const onnx::Model model = onnx::read(options.file);
  experiment::Config config = exchange::config_of(model, options.file);
  options.settings.apply(config);
  std::optional<data::Splits> splits;
  if (options.settings.given().count("data") > 0) {
    ProgressBar bar(program.err(), program.quiet);
    splits = open_data(program, config, bar);
  }
  const exchange::Import made =
      exchange::from_onnx(model, std::move(config), splits ? &*splits : nullptr, options.file);
  experiment::save(options.out, made.config, made.info, made.normalization, *made.model);
  const nn::Options& network = made.config.network;
  if (options.json) {
    print_json({{"checkpoint", options.out},
                {"model", nn::to_string(network.model)},
                {"activation", network.activation},
                {"bias", network.bias},
                {"precision", nn::to_string(network.precision)},
                {"input", made.info.input_shape},
                {"outputs", made.info.outputs}});
    return Exit::done;
  }
  std::cout << made.model->describe() << "model: " << nn::to_string(network.model) << "\n"
            << "checkpoint: " << options.out << "\n";
  return Exit::done;
}

}  // namespace

void add_export_onnx(Program& program, CLI::App& parent) {
  CLI::App* verb = add_verb(
      parent, "onnx", "export a trained network as an ONNX model, with QONNX's operators for number formats",
      {{"grapes export onnx runs/one --out one.onnx", "take inputs as in the data, give probabilities or values"},
       {"grapes export onnx best.safetensors --logits --out best.onnx", "give the outputs of the last layer"}});
  const auto options = std::make_shared<OnnxExportOptions>();
  add_checkpoint(*verb, options->checkpoint);
  verb->add_option("--out", options->out, "file to write")->type_name("FILE.onnx")->required();
  verb->add_flag("--logits", options->logits, "leave out the output function and the scale of the targets");
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  verb->callback([&program, options] { program.action = [options] { return export_onnx(*options); }; });
}

void add_import_onnx(Program& program, CLI::App& parent) {
  CLI::App* verb = add_verb(
      parent, "onnx", "make a checkpoint from an ONNX model of dense and convolutional layers",
      {{"grapes import onnx one.onnx --out one.safetensors", "import a model that Grapes exported"},
       {"grapes import onnx theirs.onnx --data mnist --out ours.safetensors",
        "import a model of another program; its data give the classes and the normalization that the file lacks"}});
  const auto options = std::make_shared<OnnxImportOptions>();
  verb->add_option("file", options->file, "the model")->type_name("FILE.onnx")->required();
  verb->add_option("--out", options->out, "checkpoint to write")->type_name("FILE.safetensors")->required();
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  options->settings.add(*verb, {"data"}, {"augment", "order"});
  verb->callback(
      [&program, options] { program.action = [&program, options] { return import_onnx(program, *options); }; });
}

}  // namespace grapes::cli
