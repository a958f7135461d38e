// The statistics of reports, for Python: tests/statistics_test.py and tools/check_statistics.py compare them with other
// programs and with the truth of simulated data. Reads calls, one line each, and writes their results, one line each:
//   ["mean_interval", [0.1, 0.3], 0, null]     [0.000348, 114.85]
// Results are null where a function returns nothing, and {"error": MESSAGE} where it throws. Among the arguments, null
// is a missing bound, and in a list of numbers a NaN, which JSON does not have.
#include "grapes/report/inference.h"
#include "grapes/report/statistics.h"
#include "grapes/report/summary.h"

#include <nlohmann/json.hpp>

#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>

namespace {
using namespace grapes::report;
using grapes::record::Json;

std::vector<double> numbers(const Json& list) {
  std::vector<double> all;
  for (const Json& one : list) all.push_back(one.is_null() ? std::numeric_limits<double>::quiet_NaN() : one.get<double>());
  return all;
}
std::vector<std::vector<double>> lists(const Json& list) {
  std::vector<std::vector<double>> all;
  for (const Json& one : list) all.push_back(numbers(one));
  return all;
}
Points points(const Json& list) {
  Points all;
  for (const std::vector<double>& point : lists(list)) all.emplace_back(point.at(0), point.at(1));
  return all;
}
Bounds bounds(const Json& low, const Json& high) {
  Bounds all;
  if (!low.is_null()) all.low = low;
  if (!high.is_null()) all.high = high;
  return all;
}

Json json(double x) { return x; }
Json json(const Interval& one) { return {one.low, one.high}; }
Json json(const Plateau& one) { return {one.asymptote, one.slowness, one.rmse}; }
Json json(const Aggregate& one) { return {one.value, one.interval.low, one.interval.high}; }
Json json(const Transfer& one) {
  return {one.average_accuracy, one.learning_accuracy, one.forgetting, one.backward_transfer, one.forward_transfer};
}
template <class Value>
Json json(const std::optional<Value>& one) {
  return one ? json(*one) : Json();
}

/// Returns the differences of a report on runs with known scores.
/// @param study  {"scores": {ARM: {SEED: accuracy}}, "right": {ARM: {SEED: "0110..."}} (test examples; may be absent),
///               "smallest_effect": points}
Json differences(const Json& study) {
  std::vector<grapes::record::Run> runs;
  for (const auto& [arm, scores] : study.at("scores").items())
    for (const auto& [seed, score] : scores.items()) {
      grapes::record::Run run;
      run.folder = arm + "-" + seed;
      run.identity = {arm, std::stoull(seed), "digits", "mlp:64", "accuracy", "same"};
      run.epochs = {{{"epoch", 1}, {"learning_rate", 0.1}, {"test_accuracy", score}}};
      run.status = {grapes::record::State::finished, 1, 0, ""};
      if (study.contains("right"))
        for (const char digit : study["right"].at(arm).at(seed).get<std::string>())
          run.test_correct.push_back(digit == '1');
      runs.push_back(std::move(run));
    }
  Condition condition;
  condition.runs = share(std::move(runs));
  Options options;
  options.smallest_effect = study.value("smallest_effect", 0.0);
  Json summary = to_json(summarize({{condition}}, options)), all = Json::array();
  for (Json& one : summary["conditions"][0]["differences"])
    if (one["measure"] == "test_accuracy") all.push_back(std::move(one));
  return all;
}

using Function = std::function<Json(const Json& call)>;  // call[0] is the name
const std::map<std::string, Function> functions = {
    {"mean", [](const Json& call) { return json(mean(numbers(call[1]))); }},
    {"standard_deviation", [](const Json& call) { return json(standard_deviation(numbers(call[1]))); }},
    {"mean_interval",
     [](const Json& call) {
       return json(mean_interval(numbers(call[1]), bounds(call[2], call[3]), call.at(4)));
     }},
    {"wilcoxon", [](const Json& call) { return json(wilcoxon(numbers(call[1]))); }},
    {"holm", [](const Json& call) { return Json(holm(numbers(call[1]))); }},
    {"smallest_p", [](const Json& call) { return json(smallest_p(call[1])); }},
    {"plateau", [](const Json& call) { return json(plateau(points(call[1]))); }},
    {"epochs_to", [](const Json& call) { return json(epochs_to(points(call[1]), call[2])); }},
    {"transfer", [](const Json& call) { return json(transfer(lists(call[1]), numbers(call[2]))); }},
    {"simultaneous_quantile", [](const Json& call) { return json(simultaneous_quantile(lists(call[1]))); }},
    {"bonferroni_quantile", [](const Json& call) { return json(bonferroni_quantile(call[1], call[2])); }},
    {"equivalence", [](const Json& call) { return json(equivalence(numbers(call[1]), call[2])); }},
    {"crossed_error",
     [](const Json& call) { return json(crossed_error(call[1].get<std::vector<std::vector<std::int8_t>>>())); }},
    {"interquartile_mean", [](const Json& call) { return json(interquartile_mean(lists(call[1]))); }},
    {"probability_of_improvement",
     [](const Json& call) { return json(probability_of_improvement(lists(call[1]), lists(call[2]))); }},
    {"differences", [](const Json& call) { return differences(call[1]); }},
};

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    Json result;
    try {
      const Json call = Json::parse(line);
      result = functions.at(call.at(0))(call);
    } catch (const std::exception& error) {
      result = {{"error", error.what()}};
    }
    std::cout << result << "\n";
  }
}
