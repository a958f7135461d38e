#include "grapes/cli/checkpoint.h"

#include "grapes/train/metrics.h"

#include <fmt/format.h>

namespace grapes::cli {
namespace fs = std::filesystem;

fs::path checkpoint_path(const std::string& argument) {
  const fs::path path = argument;
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  const fs::path last = path / "checkpoints" / "last.safetensors";
  if (fs::is_regular_file(last, error)) return last;
  throw DataError(path.string() +
                  " has no checkpoints/last.safetensors; expected the folder of a run, or a .safetensors file");
}

CLI::Option* add_checkpoint(CLI::App& verb, std::string& argument) {
  return verb
      .add_option("checkpoint", argument, "a .safetensors file, or the folder of a run, whose last checkpoint is used")
      ->type_name("FILE|FOLDER")
      ->required();
}

const data::Dataset& part_of(const data::Splits& splits, const std::string& part) {
  const data::DatasetPtr& chosen = part == "train"        ? splits.train_plain
                                   : part == "validation" ? splits.validation
                                                          : splits.test;
  if (!chosen || chosen->size() == 0) throw UsageError(splits.name + " has no " + part + " part");
  return *chosen;
}

std::string score_name(const data::DatasetInfo& info) { return train::score_name(info.problem); }

std::string score_text(const std::string& name, double score) {
  return name == "accuracy" ? fmt::format("{:.2f} %", 100 * score) : fmt::format("{:.4f}", score);
}

}  // namespace grapes::cli
