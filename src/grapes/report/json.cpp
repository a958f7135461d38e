#include "grapes/report/summary.h"

#include <nlohmann/json.hpp>

namespace grapes::report {
using record::Json;
namespace {

Json optional(const std::optional<double>& value) { return value ? Json(*value) : Json(); }
Json optional(const std::optional<Interval>& value) { return value ? Json::array({value->low, value->high}) : Json(); }

template <class Items, class Of>
Json list(const Items& items, const Of& of) {
  Json array = Json::array();
  for (const auto& item : items) array.push_back(of(item));
  return array;
}

}  // namespace

// Found by nlohmann::json for these types, and for containers of them.

static void to_json(Json& json, const Spread& one) {
  if (one.empty()) return;
  json = {{"n", one.n()},         {"seeds", list(one.samples, [](const Sample& sample) { return sample.seed; })},
          {"each", one.values()}, {"mean", one.mean},
          {"sd", one.sd},         {"interval", optional(one.interval)}};
}

static void to_json(Json& json, const Paired& one) {
  json = {{"n", 0},
          {"unpaired", one.unpaired},
          {"simultaneous", optional(one.simultaneous)},
          {"p", optional(one.p)},
          {"p_holm", optional(one.p_holm)}};
  if (!one.spread.empty()) json.update(Json(one.spread));
}

static void to_json(Json& json, const Difference& one) {
  json = static_cast<const Paired&>(one);
  json.update({{"arm", one.arm},
               {"against", one.against},
               {"measure", one.measure},
               {"control", one.control},
               {"crossed", optional(one.crossed)},
               {"p_equivalence", optional(one.p_equivalence)},
               {"verdict", one.verdict ? Json(to_string(*one.verdict)) : Json()}});
  if (!one.change.spread.empty()) json["change"] = one.change;
}

static void to_json(Json& json, const Part& one) {
  json = one.values;
  json["name"] = one.name;
}

static void to_json(Json& json, const Arm& arm) {
  json = {{"arm", arm.name},
          {"method", arm.method},
          {"n", arm.runs.size()},
          {"seeds", list(arm.runs, [](const RunPtr& run) { return run->identity.seed; })},
          {"learning_rates", arm.learning_rates},
          {"at_edge", arm.at_edge},
          {"tried_rates", arm.tried},
          {"usable_rates", arm.usable},
          {"measures", arm.values},
          {"factors", parts_of(arm, layer_factors)},
          {"matrix", matrix_of(arm)},
          {"weights", parts_of(arm, weight_changes)}};
}

static void to_json(Json& json, const Condition& one) {
  json = {{"name", one.name},     {"title", one.title}, {"value", optional(one.value)},
          {"tuning", one.tuning}, {"arms", one.arms},   {"differences", one.differences}};
}

Json to_json(const Summary& summary) {
  const auto measure = [](const Measure& one) -> Json {
    return {{"key", one.key}, {"name", one.name}, {"more_is_better", one.better == Measure::Better::more}};
  };
  const auto excluded = [](const RunPtr& run) -> Json {
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
          {"smallest_effect", summary.smallest_effect > 0 ? Json(summary.margin()) : Json()},
          {"arms", summary.arms},
          {"measures", list(summary.measures, measure)},
          {"conditions", summary.conditions},
          {"missing", summary.missing},
          {"excluded", list(summary.excluded, excluded)}};
}

}  // namespace grapes::report
