#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/bench/memory.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/cli/program.h"
#include "grapes/core/responsibility.h"
#include "grapes/exchange/weights.h"
#include "grapes/experiment/arms.h"
#include "grapes/plot/pictures.h"

#include <ATen/core/Tensor.h>
#include <fmt/ranges.h>

#include <iostream>
#include <optional>

namespace grapes::cli {
namespace {

struct InspectOptions {
  std::string checkpoint, svg;
  bool json = false, memory = false;
};

struct Layer {
  std::string name;
  at::Tensor weight;
  bool hidden = false;
};

/// The network to inspect.
struct Subject {
  std::optional<experiment::Loaded> loaded;  ///< empty for weights of other programs
  std::vector<Layer> layers;
};

Subject read(const std::filesystem::path& file) {
  Subject subject;
  const auto add = [&](const std::string& name, const at::Tensor& weight) {
    subject.layers.push_back({name, weight.detach().to(at::kDouble), true});
  };
  const train::Tensors content = train::read_safetensors(file);
  if (content.metadata.count("config") > 0) {
    subject.loaded = experiment::load(file);
    for (const nn::Named& parameter : subject.loaded->model->parameters())
      if (parameter.value.dim() >= 2) add(parameter.name, parameter.value);
  } else {
    for (const std::string& module : exchange::weighted_modules(content)) {
      const std::string name = module.empty() ? "weight" : module + ".weight";
      add(name, content.tensors.at(name));
    }
    if (subject.layers.empty())
      throw DataError(file.string() + ": expected tensors 'NAME.weight' with two axes; got none");
  }
  if (!subject.layers.empty()) subject.layers.back().hidden = false;
  return subject;
}

std::vector<double> values(const at::Tensor& x) {
  const at::Tensor flat = x.to(at::kDouble).contiguous().flatten();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

/// The paper's factors: incoming weights, gain 2, clipped to [1, 2].
record::Histogram factors_of(const Layer& layer) {
  return record::histogram(values(grapes::factor(layer.weight)), 1, 2);
}
record::Histogram responsibilities_of(const Layer& layer) {
  return record::histogram(values(responsibility(layer.weight)));
}

nlohmann::json describe(const Layer& layer) {
  nlohmann::json object = {{"name", layer.name},
                           {"shape", layer.weight.sizes().vec()},
                           {"norm", layer.weight.norm().item<double>()},
                           {"responsibility", record::to_json(responsibilities_of(layer))}};
  if (layer.hidden) object["factor"] = record::to_json(factors_of(layer));
  return object;
}

/// What the memory of a training step is measured for.
struct Memory {
  std::int64_t batch = 0;
  std::vector<bench::MemoryPoint> points;
};

/// @throws UsageError for weights of other programs, which do not say how they are trained
Memory measure(const std::filesystem::path& file, const Subject& subject) {
  if (!subject.loaded)
    throw UsageError("--memory: " + file.string() +
                     " has no settings of a training step; it needs a checkpoint of Grapes");
  const experiment::Config& config = subject.loaded->config;
  const data::DatasetInfo& info = subject.loaded->info;
  bench::Step step;
  step.network = config.network;
  step.optimizer = config.optimizer;
  step.info = info;
  return {config.training.batch_size,
          bench::memory_of(step, config.training.batch_size,
                           info.sequence ? config.data.events.steps : config.network.encoding.steps)};
}

nlohmann::json to_json(const Memory& memory) {
  nlohmann::json points = nlohmann::json::array();
  for (const bench::MemoryPoint& point : memory.points) {
    nlohmann::json row = {{"peak_bytes", point.stored}};
    if (point.time_steps > 0) row["time_steps"] = point.time_steps;
    if (point.recomputed > 0) row["peak_bytes_with_recompute"] = point.recomputed;
    points.push_back(row);
  }
  return {{"batch_size", memory.batch}, {"points", points}};
}

void print(const Memory& memory) {
  const auto size = [](std::int64_t bytes) {
    const auto count = static_cast<double>(bytes);
    return bytes < 1'000'000 ? fmt::format("{:.1f} kB", count / 1e3) : fmt::format("{:.1f} MB", count / 1e6);
  };
  std::vector<std::vector<std::string>> table = {{"peak"}};
  if (memory.points[0].time_steps > 0) table[0].insert(table[0].begin(), "time steps");
  if (memory.points[0].recomputed > 0) table[0].emplace_back("with --recompute");
  for (const bench::MemoryPoint& point : memory.points) {
    std::vector<std::string>& row = table.emplace_back();
    if (point.time_steps > 0) row.push_back(std::to_string(point.time_steps));
    row.push_back(size(point.stored));
    if (point.recomputed > 0) row.push_back(size(point.recomputed));
  }
  std::cout << fmt::format("\nmemory of a training step of {} examples, with weights and inputs\n", memory.batch)
            << columns(table, "r");
}

Exit inspect(const InspectOptions& options) {
  const std::filesystem::path file = checkpoint_path(options.checkpoint);
  const Subject subject = read(file);
  const std::vector<Layer>& layers = subject.layers;
  std::optional<Memory> memory;
  if (options.memory) memory = measure(file, subject);
  std::vector<plot::HistogramPanel> panels;
  for (const Layer& layer : layers)
    if (layer.hidden) panels.push_back({layer.name, factors_of(layer)});
  if (!options.svg.empty()) write_file(options.svg, plot::histogram_picture(panels, "modulation factor"));
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Layer& layer : layers) list.push_back(describe(layer));
    nlohmann::json document = {{"checkpoint", file.string()}, {"layers", list}};
    if (subject.loaded) {
      document["arm"] = experiment::arm_label(subject.loaded->config);
      document["model"] = nn::to_string(subject.loaded->config.network.model);
    }
    if (memory) document["memory"] = to_json(*memory);
    print_json(document);
    return Exit::done;
  }
  std::cout << file.string() << ": "
            << (subject.loaded ? fmt::format("{}, trained by {}", nn::to_string(subject.loaded->config.network.model),
                                             experiment::arm_label(subject.loaded->config))
                               : std::string("weights of another program"))
            << "\n";
  for (const Layer& layer : layers) {
    std::cout << fmt::format("\n{}  {}  norm {:.4g}\n", layer.name, fmt::join(layer.weight.sizes(), " x "),
                             layer.weight.norm().item<double>());
    std::cout << "  responsibility  " << plot::histogram_text(responsibilities_of(layer)) << "\n";
    if (layer.hidden)
      std::cout << "  factor          " << plot::histogram_text(factors_of(layer)) << "\n";
    else
      std::cout << "  factor          none: the output layer is never modulated\n";
  }
  if (memory) print(*memory);
  if (!options.svg.empty()) std::cout << "\nplot: " << options.svg << "\n";
  return Exit::done;
}

}  // namespace

void add_inspect(Program& program) {
  CLI::App* verb = add_verb(program.app, "inspect", "show the shape, norm, responsibilities and factors of each layer",
                            {{"grapes inspect runs/20260101-120000-grapes", "show them as text"},
                             {"grapes inspect best.safetensors --svg factors.svg", "also draw the factors"},
                             {"grapes inspect runs/first --memory", "also measure the memory of a training step"},
                             {"grapes inspect theirs.safetensors",
                              "inspect weights saved by PyTorch; the layer whose name sorts last is the output"}});
  const auto options = std::make_shared<InspectOptions>();
  add_checkpoint(*verb, options->checkpoint);
  verb->add_option("--svg", options->svg, "draw the factors of every hidden layer into this file")
      ->type_name("FILE.svg");
  verb->add_flag(
      "--memory", options->memory,
      "also measure the peak memory of a training step, for spiking networks at several numbers of time steps");
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  verb->callback([&program, options] { program.action = [options] { return inspect(*options); }; });
}

}  // namespace grapes::cli
