#include "grapes/report/report.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/record/record.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace grapes::report {
namespace fs = std::filesystem;
using record::Json;
namespace {

/// Returns a JSON object with these members, or null if the file does not exist. @throws DataError
Json read_object(const fs::path& path, const std::vector<std::string>& members) {
  if (!fs::is_regular_file(path)) return nullptr;
  const Json content = Json::parse(read_file(path), nullptr, false);
  for (const std::string& member : members)
    if (!content.is_object() || !content.contains(member))
      throw DataError(path.string() + ": expected a JSON object with '" + join(members, "', '") + "'");
  return content;
}

/// Returns one condition for the given learning rates and, after tuning, one for the chosen rates. This separates the
/// effect of a rule from the effect of the rate.
std::vector<Condition> conditions_of_tasks(const Runs& runs, const std::vector<Json>& comparisons) {
  using Rates = std::map<std::string, double>;  // of the arms
  Rates given, chosen;
  Condition as_given{.name = "given", .title = "Learning rates as given"};
  Condition as_chosen{.name = "chosen", .title = "Each arm at its own best learning rate"};
  for (const Json& comparison : comparisons) {
    for (const auto& [arm, rate] : comparison["given_rates"].get<Rates>())
      if (given.try_emplace(arm, rate).first->second != rate)
        throw DataError("compare.json: arm " + arm + " has another learning rate than in the other folders");
    if (comparison["tuning"].is_null()) continue;
    if (!chosen.empty())
      throw DataError("only one of the folders may have tuned learning rates: make a report for each");
    as_chosen.tuning = comparison["tuning"];
    chosen = comparison["learning_rates"].get<Rates>();
  }
  for (const RunPtr& run : runs) {
    const std::string& arm = run->identity.arm;
    if (run->epochs.empty()) {
      as_given.runs.push_back(run);
      continue;
    }
    const double rate = run->epochs.front()["learning_rate"];
    const bool is_given = given.try_emplace(arm, rate).first->second == rate;
    const bool is_chosen = chosen.contains(arm) && chosen[arm] == rate;
    if (!is_given && !is_chosen)
      throw DataError("arm " + arm + " has runs at the learning rates " + shortest(given[arm]) + " and " +
                      shortest(rate) +
                      "; give the folder of the comparison: its compare.json says which of them are tuned");
    if (is_given) as_given.runs.push_back(run);
    if (is_chosen) as_chosen.runs.push_back(run);
  }
  const double first = given.begin()->second;
  if (std::ranges::all_of(given, [&](const auto& one) { return one.second == first; }))
    as_given.title = "Every arm at the learning rate " + shortest(first);
  std::vector<Condition> all = {std::move(as_given), std::move(as_chosen)};
  std::erase_if(all, [](const Condition& one) { return one.runs.empty(); });
  return all;
}

Records read_sweep(const fs::path& folder, const Json& sweep) {
  Records records{{}, sweep["key"], sweep["arms"].get<std::vector<std::string>>(), sweep.value("smallest_effect", 0.0)};
  for (const double value : sweep["values"]) {
    Condition condition;
    const fs::path place = folder / shortest(value);
    if (fs::is_directory(place) && record::has_runs(place)) {
      condition = read({place}).conditions.back();
    } else if (const Json comparison = read_object(place / "compare.json", {"arms", "seeds"}); comparison.is_object()) {
      condition.planned = comparison["arms"].size() * comparison["seeds"].size();
    }
    condition.name = shortest(value);
    condition.title.clear();
    condition.value = value;
    records.conditions.push_back(std::move(condition));
  }
  return records;
}

}  // namespace

Records read(const std::vector<fs::path>& folders) {
  std::vector<Json> comparisons;
  for (const fs::path& folder : folders) {
    const Json sweep = read_object(folder / "sweep.json", {"key", "arms", "values"});
    if (sweep.is_object() && folders.size() == 1) return read_sweep(folder, sweep);
    if (sweep.is_object())
      throw DataError(folder.string() + " contains a sweep: give it alone, or give the folders of its values");
    Json comparison = read_object(folder / "compare.json", {"arms", "tuning", "learning_rates", "given_rates"});
    if (comparison.is_object()) comparisons.push_back(std::move(comparison));
  }
  return arrange(record::load_all(folders), comparisons);
}

Records arrange(std::vector<record::Run> all, const std::vector<Json>& comparisons) {
  const Runs runs = share(std::move(all));
  const auto begun = std::count_if(runs.begin(), runs.end(), [](const RunPtr& run) { return !run->epochs.empty(); });
  const auto on_tasks = std::count_if(runs.begin(), runs.end(), [](const RunPtr& run) { return learns_tasks(*run); });
  if (on_tasks != 0 && on_tasks != begun)
    throw DataError("these runs cannot share a report: some learn several tasks, some learn one");
  Records records;
  if (comparisons.size() == 1) {
    records.arms = comparisons.front()["arms"].get<std::vector<std::string>>();
    records.smallest_effect = comparisons.front().value("smallest_effect", 0.0);
  }
  if (on_tasks != 0) {
    records.conditions = conditions_of_tasks(runs, comparisons);
  } else {
    // Runs that were tuned separately do not share a grid.
    const Json tuning = comparisons.size() == 1 ? comparisons.front()["tuning"] : Json();
    records.conditions.push_back({.runs = runs, .tuning = tuning});
  }
  if (comparisons.size() == 1 && comparisons.front().contains("seeds"))
    for (Condition& condition : records.conditions)
      condition.planned = records.arms.size() * comparisons.front()["seeds"].size();
  return records;
}

fs::path write(const Summary& summary, const fs::path& folder) {
  write_file(folder / "summary.json", to_json(summary).dump(2) + "\n");
  write_file(folder / "picture.svg", picture(summary));
  write_file(folder / "report.html", html(summary));
  return folder / "report.html";
}

}  // namespace grapes::report
