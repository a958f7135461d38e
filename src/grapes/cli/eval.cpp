#include "grapes/cli/checkpoint.h"
#include "grapes/cli/experiment.h"
#include "grapes/experiment/environment.h"
#include "grapes/train/evaluate.h"

#include <fmt/ranges.h>

#include <cmath>
#include <iostream>
#include <optional>
#include <set>
#include <tuple>

namespace grapes::cli {
namespace {

struct EvalOptions {
  std::string checkpoint, part = "test";
  bool json = false;
  Settings settings;
};

/// Checks that the data have the shapes that the network was trained for.
void check_fits(const data::DatasetInfo& trained, const data::Splits& splits) {
  const auto shape = [](const data::DatasetInfo& info) {
    return fmt::format("inputs {}, {} {}", fmt::join(info.input_shape, " x "), info.outputs,
                       info.problem == data::ProblemKind::classification ? "classes" : "targets");
  };
  if (shape(trained) != shape(splits.info))
    throw DataError(splits.name + " does not match the network: it has " + shape(splits.info) +
                    ", but the network was trained for " + shape(trained));
  // Tables number their classes and columns by their own texts.
  for (const auto& [what, theirs, ours] : {std::tuple("inputs", &trained.inputs, &splits.info.inputs),
                                           std::tuple("classes", &trained.classes, &splits.info.classes)})
    if (!trained.inputs.empty() && *theirs != *ours)
      throw DataError(fmt::format("{} does not match the network: its {} are {}, but the network was trained for {}",
                                  splits.name, what, fmt::join(*ours, ", "), fmt::join(*theirs, ", ")));
}

/// The error of a regression in the units of its targets, or nothing.
std::optional<double> root_mean_square(const experiment::Loaded& loaded, const train::Evaluation& result) {
  const bool squares = loaded.info.problem == data::ProblemKind::regression && loaded.criterion.name() == "mse";
  return squares ? std::optional(std::sqrt(result.loss)) : std::nullopt;
}

/// Rows are the true classes, columns the predictions.
std::string confusion_table(const std::vector<std::int64_t>& confusion, const std::vector<std::string>& classes) {
  const std::size_t n = classes.size();
  std::vector<std::vector<std::string>> rows = {{"truth"}};
  for (std::size_t j = 0; j < n; ++j) rows[0].push_back(classes[j].substr(0, 8));
  rows[0].emplace_back("correct");
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<std::string> row = {classes[i]};
    std::int64_t total = 0;
    for (std::size_t j = 0; j < n; ++j) {
      row.push_back(std::to_string(confusion[i * n + j]));
      total += confusion[i * n + j];
    }
    row.push_back(total > 0 ? fmt::format("{:.1f} %", 100.0 * static_cast<double>(confusion[i * n + i]) /
                                                          static_cast<double>(total))
                            : "-");
    rows.push_back(row);
  }
  return columns(rows, "lr");
}

Exit evaluate(const Program& program, const EvalOptions& options) {
  const std::filesystem::path file = checkpoint_path(options.checkpoint);
  experiment::Config asked;
  options.settings.apply(asked);
  const experiment::Loaded loaded = experiment::load(file, asked.network.device);
  experiment::Config config = loaded.config;
  options.settings.apply(config);
  experiment::take_threads(config);
  ProgressBar bar(program.err(), program.quiet);
  const data::Fitted fitted{loaded.info, loaded.normalization};
  const std::set<std::string> given = options.settings.given();
  const bool anew = given.contains("normalize") || given.contains("mean") || given.contains("std");
  const data::Splits splits = open_data(program, config, bar, anew ? nullptr : &fitted);
  check_fits(loaded.info, splits);
  const data::Dataset& examples = part_of(splits, options.part);
  const train::Evaluation result = train::evaluate(*loaded.model, examples, loaded.criterion);
  const std::string score = score_name(loaded.info);
  const std::optional<double> error = root_mean_square(loaded, result);
  if (options.json) {
    nlohmann::json document = {{"checkpoint", file.string()}, {"data", splits.name}, {"part", options.part},
                               {"examples", examples.size()}, {"loss", result.loss}, {score, result.score}};
    if (error) document["rmse"] = *error;
    if (!result.confusion.empty()) {
      document["classes"] = splits.info.classes;
      document["confusion"] = result.confusion;
    }
    print_json(document);
    return Exit::done;
  }
  std::cout << fmt::format("{} on {} {} examples of {}: loss {:.4f}, {} {}{}\n", file.string(), examples.size(),
                           options.part, splits.name, result.loss, score, score_text(score, result.score),
                           error ? fmt::format(", root mean square error {:.4g}", *error) : "");
  if (!result.confusion.empty()) std::cout << "\n" << confusion_table(result.confusion, splits.info.classes);
  return Exit::done;
}

}  // namespace

void add_eval(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "eval", "evaluate a trained network: print its loss, score and confusion matrix",
               {{"grapes eval runs/20260101-120000-grapes",
                 "evaluate on the test examples of the data set that it was trained on"},
                {"grapes eval best.safetensors --data fashion-mnist --part validation", "evaluate on other examples"}});
  const auto options = std::make_shared<EvalOptions>();
  add_checkpoint(*verb, options->checkpoint);
  verb->add_option("--part", options->part, "part of the data set on which to evaluate [test]")
      ->type_name("train|validation|test")
      ->check(CLI::IsMember({"train", "validation", "test"}).description(""));
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  options->settings.add(*verb, {"data", "machine"}, {"augment", "order", "jobs"});
  verb->callback([&program, options] { program.action = [&program, options] { return evaluate(program, *options); }; });
}

}  // namespace grapes::cli
