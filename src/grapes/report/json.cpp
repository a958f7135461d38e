#include "grapes/report/summary.h"

#include <nlohmann/json.hpp>

namespace grapes::report {
using record::Json;

Json to_json(const Summary& summary) {
  const auto optional = [](const auto& value) { return value ? Json(*value) : Json(); };
  const auto spread_json = [](const Spread& spread) -> Json {
    if (spread.empty()) return nullptr;
    Json seeds = Json::array();
    for (const Sample& sample : spread.samples) seeds.push_back(sample.seed);
    return {{"n", spread.n()},
            {"seeds", seeds},
            {"each", spread.values()},
            {"mean", spread.mean},
            {"sd", spread.sd},
            {"interval", spread.interval ? Json::array({spread.interval->low, spread.interval->high}) : Json()}};
  };
  const auto difference_json = [&](const Difference& one) {
    Json entry = {{"arm", one.arm},
                  {"against", one.against},
                  {"measure", one.measure},
                  {"control", one.control},
                  {"unpaired", one.unpaired},
                  {"p", optional(one.p)},
                  {"p_holm", optional(one.p_holm)},
                  {"n", 0}};
    if (!one.spread.empty()) entry.update(spread_json(one.spread));
    return entry;
  };
  const auto list = [](const auto& all, const auto& written) {
    Json array = Json::array();
    for (const auto& one : all) array.push_back(written(one));
    return array;
  };
  const auto measure_json = [](const Measure& one) -> Json {
    return {{"key", one.key}, {"name", one.name}, {"more_is_better", one.better == Measure::Better::more}};
  };
  const auto part_json = [&](const std::vector<PartNumber>& numbers) {
    return [&](const Part& part) {
      Json entry = {{"name", part.name}};
      for (std::size_t i = 0; i < numbers.size(); ++i) entry[numbers[i].key] = spread_json(part.values[i]);
      return entry;
    };
  };
  const auto condition_json = [&](const Condition& condition) -> Json {
    const auto arm_json = [&](const Arm& arm) -> Json {
      Json values;
      for (const auto& [key, spread] : arm.values) values[key] = spread_json(spread);
      return {{"arm", arm.name},
              {"method", arm.method},
              {"n", arm.runs.size()},
              {"seeds", list(arm.runs, [](const RunPtr& run) { return run->identity.seed; })},
              {"learning_rates", arm.learning_rates},
              {"at_edge", condition.at_edge(arm.name)},
              {"measures", values},
              {"factors", list(final_factors(arm), part_json(factor_numbers))},
              {"matrix", list(matrix_of(arm), [&](const auto& row) { return list(row, spread_json); })},
              {"weights", list(weight_changes(arm), part_json(change_numbers))}};
    };
    return {{"name", condition.name},
            {"title", condition.title},
            {"value", optional(condition.value)},
            {"tuning", condition.tuning},
            {"arms", list(condition.arms, arm_json)},
            {"differences", list(condition.differences, difference_json)},
            {"changes", list(condition.changes, difference_json)}};
  };
  const auto excluded_json = [](const RunPtr& run) -> Json {
    return {{"arm", run->identity.arm},
            {"seed", run->identity.seed},
            {"run", run->folder.filename().string()},
            {"state", record::to_string(run->status.state)},
            {"epoch", run->status.epoch},
            {"message", run->status.message}};
  };
  return {{"title", summary.title},
          {"data", summary.data},
          {"score", summary.score.key},
          {"part", summary.part},
          {"baseline", summary.baseline},
          {"swept", summary.swept},
          {"tasks", summary.tasks},
          {"confidence", 0.95},
          {"arms", summary.arms},
          {"measures", list(summary.measures, measure_json)},
          {"conditions", list(summary.conditions, condition_json)},
          {"excluded", list(summary.excluded, excluded_json)}};
}

}  // namespace grapes::report
