#include "grapes/cli/checkpoint.h"
#include "grapes/cli/program.h"
#include "grapes/data/picture.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

namespace grapes::cli {
namespace {

struct PredictOptions {
  std::string checkpoint, file;
  std::int64_t top = 3;
  bool json = false;
};

struct Prediction {
  std::string name;  ///< of the class or target
  double value;      ///< its probability, or the target's value
};

/// Per example: classes by decreasing probability, or all targets in order.
std::vector<std::vector<Prediction>> predictions(const at::Tensor& values, const data::DatasetInfo& info,
                                                 std::int64_t top) {
  const bool classes = info.problem == data::ProblemKind::classification;
  const std::int64_t kept = classes ? std::min(top, info.outputs) : info.outputs;
  at::Tensor order = at::arange(info.outputs).expand({values.size(0), info.outputs});
  if (classes) order = values.argsort(/*dim=*/1, /*descending=*/true);
  std::vector<std::vector<Prediction>> result;
  for (std::int64_t i = 0; i < values.size(0); ++i) {
    std::vector<Prediction>& row = result.emplace_back();
    for (std::int64_t k = 0; k < kept; ++k) {
      const auto c = order[i][k].item<std::int64_t>();
      row.push_back({info.classes.at(static_cast<std::size_t>(c)), values[i][c].item<double>()});
    }
  }
  return result;
}

Exit predict(const Program& program, const PredictOptions& options) {
  const experiment::Loaded loaded = experiment::load(checkpoint_path(options.checkpoint));
  std::string note;
  const at::Tensor raw = data::read_inputs(options.file, loaded.info, loaded.config.data, &note);
  if (!note.empty()) program.say("note: " + note);
  const at::NoGradGuard no_grad;
  const at::Tensor inputs = loaded.normalization(raw).to(loaded.config.network.precision.dtype);
  const at::Tensor values = loaded.criterion.prediction(loaded.model->forward(inputs, {})).to(at::kDouble);
  const bool classes = loaded.info.problem == data::ProblemKind::classification;
  const auto rows = predictions(values, loaded.info, options.top);
  if (options.json) {
    nlohmann::json examples = nlohmann::json::array();
    for (const auto& row : rows) {
      nlohmann::json list = nlohmann::json::array();
      for (const Prediction& one : row)
        list.push_back({{classes ? "class" : "target", one.name}, {classes ? "probability" : "value", one.value}});
      examples.push_back(list);
    }
    print_json({{"file", options.file}, {"examples", examples}});
    return Exit::done;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows.size() > 1) std::cout << i + 1 << ": ";
    for (std::size_t k = 0; k < rows[i].size(); ++k) {
      const Prediction& one = rows[i][k];
      const std::string name = k == 0 ? program.out().bold(one.name) : one.name;
      std::cout << (k > 0 ? ", " : "")
                << (classes ? fmt::format("{} {:.1f} %", name, 100 * one.value)
                            : fmt::format("{} {:.6g}", name, one.value));
    }
    std::cout << "\n";
  }
  return Exit::done;
}

}  // namespace

void add_predict(Program& program) {
  CLI::App* verb = add_verb(
      program.app, "predict", "predict classes or values of new examples with a trained network",
      {{"grapes predict runs/20260101-120000-grapes seven.png", "classify an image"},
       {"grapes predict best.safetensors new.csv --top 1", "predict every row of a table"},
       {"grapes predict best.safetensors t10k-images-idx3-ubyte.gz --json", "predict an IDX file; print JSON"}});
  const auto options = std::make_shared<PredictOptions>();
  add_checkpoint(*verb, options->checkpoint);
  verb->add_option("file", options->file, "new examples: a picture, IDX images, the rows of a table, or arrays")
      ->type_name("PICTURE|IDX|TABLE|FILE.npy|FILE.npz|FILE.mat")
      ->required();
  verb->add_option("--top", options->top, "number of classes to print, most probable first [3]")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000).description(""));
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  verb->callback([&program, options] { program.action = [&program, options] { return predict(program, *options); }; });
}

}  // namespace grapes::cli
