#include "grapes/train/generate.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/cli/experiment.h"
#include "grapes/data/midi.h"
#include "grapes/plot/chart.h"
#include "grapes/plot/samples.h"
#include "grapes/train/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

namespace grapes::cli {
namespace {

struct GenerateOptions {
  std::string what, from, midi, picture;
  std::int64_t chorale = 0, prime = 16, steps = 64;
  std::uint64_t seed = 1;
  double temperature = 1, tempo = 100;
  Settings settings;
};

std::string drawing(const train::Generated& piece, std::int64_t prime) {
  const record::Json roll = train::roll(piece.roll, piece.probabilities);
  return plot::piano_roll(roll, "a1", piece.roll.size(0))
      .element(
          "roll", "A chorale that a network went on with",
          fmt::format("Outlines: what is played. Color: how probable it was. The first {} steps are Bach's.", prime),
          plot::plot_style());
}

Exit generate(const GenerateOptions& options) {
  const std::filesystem::path file = checkpoint_path(options.from);
  const experiment::Loaded loaded = experiment::load(file);
  if (loaded.info.problem != data::ProblemKind::prediction || loaded.info.outputs != data::notes)
    throw UsageError(file.string() +
                     ": expected a network that predicts notes, as 'grapes train --preset jsb' trains one");
  experiment::Config config = loaded.config;
  options.settings.apply(config);
  const data::Splits splits = data::open(config.data, config.training.seed, {});
  if (options.chorale >= splits.test->size())
    throw UsageError(fmt::format("--chorale {}: there are 0 to {}", options.chorale, splits.test->size() - 1));
  const data::Batch batch = splits.test->get(at::tensor({options.chorale}, at::kLong));
  if (options.prime > batch.inputs.size(1))
    throw UsageError(fmt::format("--prime {}: the chorale has {} steps", options.prime, batch.inputs.size(1)));
  const at::Tensor prime = batch.inputs[0].narrow(0, 0, options.prime).contiguous();
  const train::Generated piece = train::go_on(*loaded.model, prime, options.steps, options.temperature, options.seed);
  const std::string picture = options.picture.empty()
                                  ? std::filesystem::path(options.midi).replace_extension(".svg").string()
                                  : options.picture;
  write_file(options.midi, data::midi(piece.roll, options.tempo));
  write_file(picture, drawing(piece, options.prime));
  std::cout << fmt::format("{} steps of test chorale {}, then {} of the network, {:.1f} notes a step\n", options.prime,
                           options.chorale, options.steps,
                           piece.roll.narrow(0, options.prime, options.steps).sum(1).mean().item<double>())
            << "midi: " << options.midi << "\npicture: " << picture << "\n";
  return Exit::done;
}

}  // namespace

void add_generate(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "generate", "music that a network goes on with, as MIDI and as a piano roll",
               {{"grapes generate jsb --from runs/20260101-120000-bp --midi out.mid",
                 "a test chorale's first 16 steps, and 64 of the network; out.svg is the piano roll"},
                {"grapes generate jsb --from best.safetensors --midi out.mid --chorale 3 --temperature 0.8",
                 "of another chorale, more cautious"}});
  const auto options = std::make_shared<GenerateOptions>();
  verb->add_option("what", options->what, "jsb: a chorale")->check(CLI::IsMember({"jsb"}).description(""))->required();
  verb->add_option("--from", options->from, "a .safetensors file, or a run's folder: its last one")
      ->type_name("FILE|FOLDER")
      ->required();
  verb->add_option("--midi", options->midi, "what to write")->type_name("FILE.mid")->required();
  verb->add_option("--picture", options->picture, "the piano roll [FILE.svg beside it]")->type_name("FILE.svg");
  verb->add_option("--chorale", options->chorale, "number of the test chorale that it begins with [0]")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000}).description(""))
      ->type_name("N");
  verb->add_option("--prime", options->prime, "so many of its steps [16]")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000}).description(""))
      ->type_name("N");
  verb->add_option("--steps", options->steps, "steps of the network after them, quarter notes [64]")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{10'000}).description(""))
      ->type_name("N");
  verb->add_option("--temperature", options->temperature, "below 1: keeps to what is probable [1]")
      ->check(CLI::Range(0.01, 100.0).description(""))
      ->type_name("T");
  verb->add_option("--tempo", options->tempo, "quarters a minute [100]")
      ->check(CLI::Range(10.0, 1000.0).description(""))
      ->type_name("N");
  verb->add_option("--seed", options->seed, "of the draws [1]")->type_name("N");
  options->settings.add(*verb, {"data"}, {"augment", "order"});
  verb->callback([&program, options] { program.action = [options] { return generate(*options); }; });
}

}  // namespace grapes::cli
