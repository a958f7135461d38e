#include "grapes/report/aggregate.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/report/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace grapes::report {
namespace fs = std::filesystem;
using record::Json;
namespace {

bool has_arm(const Summary& study, const std::string& name) { return study.conditions.back().find(name) != nullptr; }

std::vector<Summary> read_studies(const std::vector<fs::path>& folders, const std::string& baseline) {
  if (folders.size() < 2) throw UsageError("expected the folders of at least two studies, one for each data set");
  std::vector<Summary> all;
  for (const fs::path& folder : folders) {
    Records records = read({folder});
    if (!records.swept.empty()) throw DataError(folder.string() + " contains a sweep: give the folders of its values");
    all.push_back(summarize(std::move(records), {baseline, 0, ""}));
    const std::string first = all.front().primary().key, key = all.back().primary().key;
    if (key != first)
      throw DataError(fmt::format("these studies have different scores: {} in {} and {} in {}", first,
                                  folders.front().string(), key, folder.string()));
  }
  return all;
}

std::string interval_of(const Aggregate& one, const Unit& unit) {
  return fmt::format("{} {}", unit.number(one.value), interval_text(one.interval, unit, false));
}

}  // namespace

Aggregated aggregate(const std::vector<fs::path>& folders, const std::string& baseline) {
  const std::vector<Summary> studies = read_studies(folders, baseline);
  Aggregated all{.measure = studies.front().primary(), .baseline = studies.front().baseline};
  for (const fs::path& folder : folders) all.studies.push_back(folder.string());
  std::vector<std::string> names;
  for (const Summary& study : studies) {
    all.data.push_back(study.data);
    for (const Arm& arm : study.conditions.back().arms)
      if (std::ranges::find(names, arm.name) == names.end()) names.push_back(arm.name);
  }
  for (const std::string& name : names) {
    if (!std::ranges::all_of(studies, [&](const Summary& study) { return has_arm(study, name); })) {
      all.left_out.push_back(name);
      continue;
    }
    all.arms.push_back({.name = name});
    for (const Summary& study : studies)
      all.arms.back().scores.push_back((*study.conditions.back().find(name))[study.primary()].values());
  }
  if (all.arms.size() < 2 || all.arms.front().name != all.baseline)
    throw DataError(
        fmt::format("these studies cannot be aggregated: they need the arm {} and another one in common; found {}",
                    all.baseline, join(names, ", ")));
  for (Aggregated::Arm& arm : all.arms) {
    arm.middle = interquartile_mean(arm.scores);
    if (arm.name != all.baseline) arm.wins = probability_of_improvement(arm.scores, all.arms.front().scores);
  }
  return all;
}

std::string table(const Aggregated& all) {
  const Unit probability{1, 3};
  std::vector<std::vector<std::string>> rows = {{"arm", "runs",
                                                 "interquartile mean" + all.measure.unit.suffix + " [95 %]",
                                                 "P(better than " + all.baseline + ") [95 %]"}};
  for (const Aggregated::Arm& arm : all.arms) {
    std::size_t runs = 0;
    for (const std::vector<double>& scores : arm.scores) runs += scores.size();
    rows.push_back({arm.name, std::to_string(runs), interval_of(arm.middle, all.measure.unit),
                    arm.name == all.baseline ? "–" : interval_of(arm.wins, probability)});
  }
  std::string text = columns(rows, "lr");
  text +=
      fmt::format("\n{} over {}: {}. Intervals are percentiles of a bootstrap that resamples the runs of each study.\n",
                  all.measure.name, count(all.studies.size(), "data set"), join(all.data, ", "));
  if (!all.left_out.empty())
    text += "Not all studies have these arms, so they are left out: " + join(all.left_out, ", ") + ".\n";
  return text;
}

Json to_json(const Aggregated& all) {
  const auto pair = [](const Interval& one) { return Json::array({one.low, one.high}); };
  Json studies = Json::array(), arms = Json::array();
  for (std::size_t i = 0; i < all.studies.size(); ++i)
    studies.push_back({{"folder", all.studies[i]}, {"data", all.data[i]}});
  for (const Aggregated::Arm& arm : all.arms) {
    Json runs = Json::array();
    for (const std::vector<double>& scores : arm.scores) runs.push_back(scores.size());
    const bool compared = arm.name != all.baseline;
    arms.push_back({{"arm", arm.name},
                    {"n", runs},
                    {"interquartile_mean", arm.middle.value},
                    {"interquartile_interval", pair(arm.middle.interval)},
                    {"probability_of_improvement", compared ? Json(arm.wins.value) : Json()},
                    {"improvement_interval", compared ? pair(arm.wins.interval) : Json()}});
  }
  return {{"score", all.measure.key}, {"confidence", 0.95}, {"baseline", all.baseline},
          {"studies", studies},       {"arms", arms},       {"left_out", all.left_out}};
}

}  // namespace grapes::report
