#include "grapes/report/summary.h"

#include <fmt/format.h>

#include <algorithm>

namespace grapes::report {
using record::Json;
using record::Run;

std::vector<FinalFactors> final_factors(const Arm& arm) {
  std::vector<FinalFactors> all;
  for (const std::string& layer : layers_of(arm.runs)) {
    const auto of = [&](const std::string& key) {
      return spread_of(arm.runs,
                       [&](const Run& run) { return number(layer_of(run.epochs.back(), layer), "factor." + key); });
    };
    if (const Spread least = of("min"); !least.empty()) {
      const std::vector<double> values = least.values();
      all.push_back({layer, of("mean").mean, of("sd").mean, *std::min_element(values.begin(), values.end())});
    }
  }
  return all;
}

std::vector<std::vector<Spread>> matrix_of(const Arm& arm) {
  const Run& first = *arm.runs.front();
  std::vector<std::vector<Spread>> matrix(learns_tasks(first) ? first.epochs.size() - 1 : 0);
  for (std::size_t i = 0; i < matrix.size(); ++i)
    for (std::size_t j = 0; j < matrix.size(); ++j)
      matrix[i].push_back(spread_of(
          arm.runs, [&](const Run& run) { return run.epochs[i + 1]["test_tasks"][j].get<double>(); }, {0, 1}));
  return matrix;
}

const std::vector<ChangeMeasure> change_measures = {{"weight_change", "weight change", "weight_norm"},
                                                    {"overlap", "overlap"},
                                                    {"overlap_size", "overlap of sizes"},
                                                    {"loss_increase", "loss increase"},
                                                    {"factor_change", "factor and change"},
                                                    {"factor_loss_increase", "factor and loss increase"}};

std::vector<WeightChange> weight_changes(const Arm& arm) {
  std::vector<WeightChange> all;
  const Json last = arm.runs.front()->epochs.back().value("forgetting", Json::object());
  for (const Json& weight : last.value("weights", Json::array())) {
    all.push_back({weight.at("name"), {}});
    for (const ChangeMeasure& measure : change_measures)
      all.back().values.push_back(spread_of(arm.runs, [&](const Run& run) -> std::optional<double> {
        std::vector<double> tasks;
        for (const Json& row : run.epochs)
          for (const Json& one : row.value("forgetting", Json::object()).value("weights", Json::array()))
            if (const auto value = number(one, measure.key); value && one["name"] == weight["name"])
              tasks.push_back(measure.part_of != nullptr ? *value / one.at(measure.part_of).get<double>() : *value);
        return tasks.empty() ? std::nullopt : std::optional(mean(tasks));
      }));
  }
  return all;
}

std::vector<Arm> without_methods(const Condition& condition) {
  std::vector<Arm> rules = condition.arms;
  std::erase_if(rules, [](const Arm& arm) { return arm.method != "none"; });
  return rules.empty() ? condition.arms : rules;
}

std::string swept_part(const std::string& key) {
  const std::size_t place = key.find("{}"), before = key.find_last_of(",:", place), equals = key.find('=');
  const std::size_t begin = (before == std::string::npos ? equals : before) + 1;
  const std::string part = key.substr(begin, key.find_first_of(",:", place) - begin);
  return part == "{}" ? key : part;
}

std::vector<std::string> excluded_runs(const Summary& summary) {
  std::vector<std::string> lines;
  for (const RunPtr& run : summary.excluded) {
    const record::Status& status = run->status;
    const std::string state = status.state == record::State::finished  ? "finished without a score"
                              : status.state == record::State::running ? "still running, or killed"
                                                                       : record::to_string(status.state);
    lines.push_back(fmt::format("{}, seed {}: {} after {}{}", run->identity.arm, run->identity.seed, state,
                                count(static_cast<std::size_t>(status.epoch), summary.tasks > 0 ? "task" : "epoch"),
                                status.message.empty() ? "" : " (" + status.message + ")"));
  }
  return lines;
}

}  // namespace grapes::report
