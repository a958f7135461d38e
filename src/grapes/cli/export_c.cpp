#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/cli/experiment.h"
#include "grapes/cli/export.h"
#include "grapes/embedded/about.h"
#include "grapes/embedded/c_header.h"
#include "grapes/embedded/integers.h"
#include "grapes/embedded/rehearsal.h"
#include "grapes/fixed/checksum.h"

#include <fmt/format.h>

#include <iostream>

namespace grapes::cli {
namespace {

struct Options {
  std::string checkpoint, out, name = "net", part;
  embedded::IntegerOptions integers;
  std::int64_t check = 0, rehearse = 0;
  bool json = false;
};

nlohmann::json document(const Options& options, const fixed::Network& network) {
  const embedded::CSize size = embedded::c_size(network);
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
  const embedded::CSize size = embedded::c_size(network);
  std::vector<std::vector<std::string>> rows = {{"layer", "nodes", "inputs", "weights", "step"}};
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const fixed::Layer& layer = network.layers[l];
    rows.push_back({std::to_string(l), std::to_string(layer.nodes), std::to_string(layer.inputs),
                    fmt::format("int{}_t", network.formats.weight_bits), fmt::format("2^-{}", layer.fraction)});
  }
  std::cout << columns(rows, "lrrl")
            << fmt::format("tables {} bytes, state {} bytes, sums of {} bits\n", size.constants, size.state,
                           fixed::accumulator_bits(network));
  if (network.learning)
    std::cout << fmt::format(
        "learns by {}, rate 2^-{}{}\n", network.learning->grapes ? "grapes" : "bp", network.learning->rate_shift,
        network.learning->grapes ? fmt::format(", factor of {} bits", network.learning->factor_bits) : "");
}

Exit export_c(const Program& program, const Options& options) {
  if (options.rehearse > 0 && !options.integers.learn) throw UsageError("--rehearse needs --learn");
  if (options.rehearse > 0 && options.part.empty())
    throw UsageError("--rehearse needs --evaluate, the part of the data for the scores");
  const experiment::Loaded loaded = experiment::load(checkpoint_path(options.checkpoint));
  const fixed::Network network =
      embedded::integers(*loaded.model, loaded.config.network, loaded.criterion, loaded.info.problem, options.integers);
  const std::string header =
      embedded::c_header(network, options.name, embedded::about(loaded, options.checkpoint, network.formats.input));
  nlohmann::json result = document(options, network);
  embedded::Rehearsal scores;
  if (!options.part.empty()) {
    ProgressBar bar(program.err(), program.quiet);
    const data::Splits splits = open_data(program, loaded.config, bar);
    scores = embedded::rehearse(loaded, network, splits, part_of(splits, options.part), options.rehearse);
    result["part"] = options.part;
    result[score_name(loaded.info)] = {
        {"float", scores.real}, {"integers", scores.before.value}, {"rehearsed", scores.after}};
    result["saturated"] = scores.before.saturated;
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
                             text(scores.before.value));
    const int fraction = network.formats.activation;
    if (scores.before.saturated > 0)
      std::cout << fmt::format("  {} outputs reached the limit of their range, {}{}\n", scores.before.saturated,
                               1 << (15 - fraction),
                               fraction > 5 ? fmt::format("; --activation-fraction {} has a wider range", fraction - 1)
                                            : std::string(", the widest range"));
    for (std::size_t pass = 0; pass < scores.after.size(); ++pass)
      std::cout << fmt::format("  after pass {}: {}\n", pass + 1, text(scores.after[pass]));
  }
  if (!checksum.empty()) std::cout << fmt::format("checksum after {} examples: {}\n", options.check, checksum);
  std::cout << "file: " << options.out << "\n";
  return Exit::done;
}

}  // namespace

void add_export_c(Program& program, CLI::App& parent) {
  CLI::App* verb =
      add_verb(parent, "c", "export dense layers as a C99 header: integers only, no heap, no floating point",
               {{"grapes export c runs/one --out net.h", "write net_infer, which computes the outputs"},
                {"grapes export c runs/one --out net.h --learn --weight-bits 8",
                 "also write net_learn, with which the device keeps learning"},
                {"grapes export c runs/one --out net.h --learn --evaluate validation --rehearse 2",
                 "let the exported network learn on this computer and print its scores"}});
  const auto options = std::make_shared<Options>();
  embedded::IntegerOptions& integers = options->integers;
  add_checkpoint(*verb, options->checkpoint);
  verb->add_option("--out", options->out, "file to write")->type_name("FILE.h")->required();
  verb->add_option("--name", options->name, "prefix of all C names [net]")->type_name("NAME");
  verb->add_option("--weight-bits", integers.formats.weight_bits, "bits of a weight [16]")->type_name("8|16");
  CLI::Option* learn = verb->add_flag("--learn", integers.learn, "let the device keep learning");
  verb->add_option("--rule", integers.rule, "learning rule on the device [auto: the rule of the training run]")
      ->type_name("auto|bp|grapes")
      ->needs(learn);
  verb->add_option("--factor-bits", integers.factor_bits, "fraction bits of the factor; 0: factors are 1 or 2 [4]")
      ->type_name("0..8")
      ->needs(learn);
  verb->add_option("--rate-shift", integers.rate_shift,
                   "learning rate 2^-SHIFT; the device learns from one example at a time [7]")
      ->type_name("SHIFT")
      ->needs(learn);
  verb->add_option("--headroom", integers.headroom, "spare bits for weights that grow [1 with --learn, else 0]")
      ->type_name("0..8")
      ->check(CLI::Range(0, 8).description(""));
  verb->add_option("--input-fraction", integers.formats.input, "fraction bits of the inputs [12]")->type_name("0..15");
  verb->add_option("--activation-fraction", integers.formats.activation,
                   "fraction bits of hidden values and logits [10]")
      ->type_name("5..14");
  verb->add_option("--error-fraction", integers.formats.error, "fraction bits of the errors [13]")->type_name("5..14");
  verb->add_option("--evaluate", options->part,
                   "print the scores of the exported and of the original network on this part of the data")
      ->type_name("train|validation|test")
      ->check(CLI::IsMember({"train", "validation", "test"}).description(""));
  verb->add_option("--rehearse", options->rehearse,
                   "passes over the training data in which the exported network learns on this computer [0]")
      ->type_name("PASSES")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1000}).description(""));
  verb->add_option("--check", options->check,
                   "print the checksum that hardware/micro/check.h computes after this many examples")
      ->type_name("SAMPLES")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{10000000}).description(""));
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  verb->callback([&program, options] { program.action = [&program, options] { return export_c(program, *options); }; });
}

}  // namespace grapes::cli
