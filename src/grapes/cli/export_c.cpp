#include "grapes/base/file.h"
#include "grapes/base/random.h"
#include "grapes/base/text.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/cli/experiment.h"
#include "grapes/cli/export.h"
#include "grapes/experiment/arms.h"
#include "grapes/fixed/checksum.h"
#include "grapes/hardware/c_header.h"
#include "grapes/hardware/integers.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

namespace grapes::cli {
namespace {

struct Options {
  std::string checkpoint, out, name = "net", part;
  hardware::IntegerOptions integers;
  std::int64_t check = 0, rehearse = 0;
  bool json = false;
};

/// "0.13, 0.2, ..." in lines of a comment.
std::vector<std::string> numbers(const std::string& begin, const at::Tensor& values) {
  std::vector<std::string> lines = {begin};
  const at::Tensor flat = values.detach().to(at::kDouble).contiguous().flatten();
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    const std::string word = fmt::format("{}{:.7g}", i > 0 ? ", " : " ", flat[i].item<double>());
    if (lines.back().size() + word.size() > 110) lines.emplace_back("   ");
    lines.back() += word;
  }
  return lines;
}

/// What its reader must know: where it comes from, what goes in, what comes out.
std::vector<std::string> about(const Options& options, const experiment::Loaded& loaded) {
  const nn::Options& network = loaded.config.network;
  const int fraction = options.integers.formats.input;
  std::vector<std::string> lines = {fmt::format("From {}: {}, {}, trained by {} on {}.",
                                                std::filesystem::path(options.checkpoint).filename().string(),
                                                network.model, network.activation, experiment::arm_label(loaded.config),
                                                std::filesystem::path(loaded.config.data.data).filename().string()),
                                    ""};
  const data::Normalization& normalization = loaded.normalization;
  if (!normalization.shift.defined()) {
    lines.push_back(fmt::format(
        "Input i is x[i] = v[i] 2^{}, to the nearest, v the numbers of an example as they were for training:",
        fraction));
    lines.emplace_back("grays and other bytes as 0 ... 1, measurements as they are.");
  } else {
    lines.push_back(fmt::format(
        "Input i is x[i] = (v[i] - shift) scale 2^{}, to the nearest, v the numbers of an example:", fraction));
    const std::int64_t inputs = c10::multiply_integers(loaded.info.input_shape), given = normalization.shift.numel();
    lines.emplace_back("grays and other bytes as 0 ... 1, measurements as they are; shift and scale are " +
                       (given == 1 ? std::string("one for all:")
                        : given == inputs
                            ? std::string("by input:")
                            : fmt::format("by channel, the first of the first {} inputs and so on:", inputs / given)));
    for (const auto& [what, values] :
         {std::pair("shift =", normalization.shift), std::pair("scale =", normalization.scale)})
      for (std::string& line : numbers(what, values)) lines.push_back(std::move(line));
  }
  std::vector<std::string> outputs;
  for (const std::string& name : loaded.info.classes) {
    const std::string number = std::to_string(outputs.size());
    outputs.push_back(name == number ? number : number + " " + name);
  }
  lines.push_back(fmt::format("Outputs: {}.", join(outputs, ", ")));
  return lines;
}

/// Scores on a part of the network's own data: in float, in integers, and after each pass of learning.
struct Scores {
  double real = 0;
  hardware::Score integers;
  std::vector<double> rehearsed;
};

Scores evaluate(const Program& program, const Options& options, const experiment::Loaded& loaded,
                const fixed::Network& network) {
  ProgressBar bar(program.err(), program.quiet);
  const data::Splits splits = open_data(program, loaded.config, bar);
  const data::Dataset& examples = part_of(splits, options.part);
  fixed::State state = fixed::begin(network);
  Scores scores;
  scores.real = train::evaluate(*loaded.model, examples, loaded.criterion).score;
  scores.integers = hardware::score(network, state, examples);
  for (std::int64_t pass = 0; pass < options.rehearse; ++pass) {
    Random random(stream_seed(loaded.config.training.seed, "rehearse", static_cast<std::uint64_t>(pass)));
    const at::Tensor order = splits.shuffle ? at::tensor(permutation(splits.train->size(), random))
                                            : at::arange(splits.train->size(), at::kLong);
    hardware::rehearse(network, state, *splits.train, order);
    scores.rehearsed.push_back(hardware::score(network, state, examples).value);
  }
  return scores;
}

nlohmann::json document(const Options& options, const fixed::Network& network) {
  const hardware::CSize size = hardware::c_size(network);
  nlohmann::json layers = nlohmann::json::array();
  for (const fixed::Layer& layer : network.layers)
    layers.push_back({{"inputs", layer.inputs}, {"nodes", layer.nodes}, {"fraction", layer.fraction}});
  nlohmann::json result = {
      {"file", options.out}, {"name", options.name}, {"constants", size.constants},
      {"state", size.state}, {"layers", layers},     {"accumulator_bits", fixed::accumulator_bits(network)}};
  if (network.learning) {
    result["rule"] = network.learning->grapes ? "grapes" : "bp";
    result["rate_shift"] = network.learning->rate_shift;
    if (network.learning->grapes) result["factor_bits"] = network.learning->factor_bits;
  }
  return result;
}

void print(const fixed::Network& network) {
  const hardware::CSize size = hardware::c_size(network);
  std::vector<std::vector<std::string>> rows = {{"layer", "nodes", "inputs", "weights", "step"}};
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const fixed::Layer& layer = network.layers[l];
    rows.push_back({std::to_string(l), std::to_string(layer.nodes), std::to_string(layer.inputs),
                    fmt::format("int{}_t", network.formats.weight_bits), fmt::format("2^-{}", layer.fraction)});
  }
  std::cout << columns(rows, {1, 2})
            << fmt::format("tables {} bytes, state {} bytes, sums of {} bits\n", size.constants, size.state,
                           fixed::accumulator_bits(network));
  if (network.learning)
    std::cout << fmt::format(
        "learns by {}, rate 2^-{}{}\n", network.learning->grapes ? "grapes" : "bp", network.learning->rate_shift,
        network.learning->grapes ? fmt::format(", factor of {} bits", network.learning->factor_bits) : "");
}

Exit export_c(const Program& program, const Options& options) {
  if (options.rehearse > 0 && !options.integers.learn)
    throw UsageError("--rehearse: without --learn nothing is learnt");
  if (options.rehearse > 0 && options.part.empty())
    throw UsageError("--rehearse: --evaluate says on which part to score");
  const experiment::Loaded loaded = experiment::load(checkpoint_path(options.checkpoint));
  const fixed::Network network =
      hardware::integers(*loaded.model, loaded.config.network, loaded.criterion, loaded.info.problem, options.integers);
  const std::string header = hardware::c_header(network, options.name, about(options, loaded));
  nlohmann::json result = document(options, network);
  Scores scores;
  if (!options.part.empty()) {
    scores = evaluate(program, options, loaded, network);
    result["part"] = options.part;
    result[score_name(loaded.info)] = {
        {"float", scores.real}, {"integers", scores.integers.value}, {"rehearsed", scores.rehearsed}};
    result["saturated"] = scores.integers.saturated;
  }
  std::string checksum;
  if (options.check > 0) {
    fixed::State state = fixed::begin(network);
    checksum = fmt::format("{:08x}", fixed::checksum(network, state, static_cast<std::size_t>(options.check)));
    result["checksum"] = checksum;
  }
  write_file(options.out, header);
  if (options.json) {
    print_json(result);
    return Exit::done;
  }
  print(network);
  if (!options.part.empty()) {
    const std::string name = score_name(loaded.info);
    const auto text = [&](double score) { return score_text(name, score); };
    std::cout << fmt::format("{} {}: {} in float, {} in integers\n", options.part, name, text(scores.real),
                             text(scores.integers.value));
    const int fraction = network.formats.activation;
    if (scores.integers.saturated > 0)
      std::cout << fmt::format("  {} outputs met the end of their range, {}{}\n", scores.integers.saturated,
                               1 << (15 - fraction),
                               fraction > 5 ? fmt::format(": --activation-fraction {} reaches farther", fraction - 1)
                                            : std::string(", the widest there is"));
    for (std::size_t pass = 0; pass < scores.rehearsed.size(); ++pass)
      std::cout << fmt::format("  after pass {}: {}\n", pass + 1, text(scores.rehearsed[pass]));
  }
  if (!checksum.empty()) std::cout << fmt::format("checksum after {} samples: {}\n", options.check, checksum);
  std::cout << "file: " << options.out << "\n";
  return Exit::done;
}

}  // namespace

void add_export_c(Program& program, CLI::App& parent) {
  CLI::App* verb = add_verb(
      parent, "c", "a C99 header for microcontrollers: dense layers in integers, no heap, no float",
      {{"grapes export c runs/one --out net.h", "infers: net_infer"},
       {"grapes export c runs/one --out net.h --learn --bits 8", "and goes on learning on the device: net_learn"},
       {"grapes export c runs/one --out net.h --learn --evaluate validation --rehearse 2",
        "how well, before it is there"}});
  const auto options = std::make_shared<Options>();
  hardware::IntegerOptions& integers = options->integers;
  add_checkpoint(*verb, options->checkpoint);
  verb->add_option("--out", options->out, "what to write")->type_name("FILE.h")->required();
  verb->add_option("--name", options->name, "what all its names begin with [net]")->type_name("NAME");
  verb->add_option("--bits", integers.formats.weight_bits, "of a weight [16]")->type_name("8|16");
  CLI::Option* learn = verb->add_flag("--learn", integers.learn, "the device can go on learning");
  verb->add_option("--rule", integers.rule, "of learning [auto: by which it was trained]")
      ->type_name("auto|bp|grapes")
      ->needs(learn);
  verb->add_option("--factor-bits", integers.factor_bits, "of a factor's fraction; 0: {1, 2} [4]")
      ->type_name("0..8")
      ->needs(learn);
  verb->add_option("--rate-shift", integers.rate_shift, "learning rate 2^-SHIFT, for single examples [7]")
      ->type_name("SHIFT")
      ->needs(learn);
  verb->add_option("--headroom", integers.headroom, "bits for weights to grow into [1 with --learn, else 0]")
      ->type_name("0..8")
      ->check(CLI::Range(0, 8).description(""));
  verb->add_option("--input-fraction", integers.formats.input, "bits of an input's fraction [12]")->type_name("0..15");
  verb->add_option("--activation-fraction", integers.formats.activation, "of hidden values and logits [10]")
      ->type_name("5..14");
  verb->add_option("--error-fraction", integers.formats.error, "of errors [13]")->type_name("5..14");
  verb->add_option("--evaluate", options->part, "score it and the float network on a part of its own data")
      ->type_name("train|validation|test")
      ->check(CLI::IsMember({"train", "validation", "test"}).description(""));
  verb->add_option("--rehearse", options->rehearse, "let it learn the training part before, as a device would [0]")
      ->type_name("PASSES")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1000}).description(""));
  verb->add_option("--check", options->check, "say the checksum of hardware/micro/check.h after so many samples")
      ->type_name("SAMPLES")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{10000000}).description(""));
  verb->add_flag("--json", options->json, "the result as one JSON document");
  verb->callback([&program, options] { program.action = [&program, options] { return export_c(program, *options); }; });
}

}  // namespace grapes::cli
