#include "grapes/bench/earlier.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/text.h"

#include <nlohmann/json.hpp>

namespace grapes::bench {
namespace {

/// What identifies a timing in the output of to_json(). The measured density is not part of it.
std::string labels_of(const nlohmann::json& line) {
  std::string labels;
  for (const char* field :
       {"case", "batch", "threads", "rule", "variant", "optimizer", "precision", "dropout", "input"})
    labels += line.at(field).dump() + " ";
  return labels;
}

/// What the baseline could be computed with. Which library was the fastest is not part of it: in products that take
/// microseconds, chance decides that.
std::string means_of(const nlohmann::json& line) {
  return line.at("blas").get<std::string>() + ", oneDNN " + line.at("onednn").get<std::string>() + ", " +
         line.at("instruction_set").get<std::string>();
}

}  // namespace

std::string measured_with(const Timing& timing) { return means_of(to_json(timing)); }

Earlier::Earlier(const std::filesystem::path& file) {
  std::size_t number = 0;
  for (const std::string& line : split(read_file(file), '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    try {
      const nlohmann::json timing = nlohmann::json::parse(line);
      const nlohmann::json& ratio = timing.at("ratio");
      if (!ratio.is_null()) cases_[labels_of(timing)] = {ratio.get<double>(), means_of(timing)};
    } catch (const nlohmann::json::exception&) {
      throw DataError(file.string() + ", line " + std::to_string(number) +
                      ": expected a timing as `grapes bench NAME --json` prints it");
    }
  }
}

std::optional<Earlier::Case> Earlier::find(const Timing& timing) const {
  const auto found = cases_.find(labels_of(to_json(timing)));
  return found != cases_.end() ? std::optional(found->second) : std::nullopt;
}

}  // namespace grapes::bench
